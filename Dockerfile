# The lba command on CUDA. Build: docker build -t lba .
# Run:   docker run --rm --gpus all --shm-size 8g --user "$(id -u):$(id -g)" -v "$PWD:/workspace" lba train --method full
FROM nvidia/cuda:13.0.2-base-ubuntu24.04

RUN apt-get update \
    && apt-get install --yes --no-install-recommends python3 python3-venv \
    && rm -rf /var/lib/apt/lists/* \
    && python3 -m venv /opt/lba \
    && useradd --create-home --uid 10001 lba \
    && mkdir /workspace && chown lba /workspace

ENV PATH=/opt/lba/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    TORCH_HOME=/workspace/.cache/torch \
    MPLCONFIGDIR=/tmp/matplotlib

# The heavy layer changes only with PyTorch.
RUN pip install --no-cache-dir "torch>=2.6" "torchvision>=0.21"

COPY pyproject.toml README.md LICENSE /source/
COPY lba_cli /source/lba_cli
COPY configs /source/configs
RUN pip install --no-cache-dir "/source[onnx,tensorboard]"

USER lba
WORKDIR /workspace
ENTRYPOINT ["lba"]
CMD ["--help"]
