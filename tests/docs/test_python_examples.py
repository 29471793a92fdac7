"""The Python code in README and docs runs as it is printed."""

import json
import subprocess
import sys

import numpy as np
import pytest
from docs.pages import ROOT, blocks, python_block
from PIL import Image

# The examples of docs/extending.md, whose own tests are beside them.
EXAMPLES = ("datasets/fifth_dataset.py", "methods/own_method.py", "export/own_format.py", "visualize/own_picture.py")
EXPORT = "lba export --checkpoint lba-demo/run --format onnx --output person.onnx"


def test_the_example_in_the_readme_runs_and_has_at_most_ten_lines(readers_folder, capsys):
    code = python_block("README.md", "draw_correspondences")
    assert len([line for line in code.splitlines() if line]) <= 10
    names = {}
    exec(code, names)
    similarity = float(names["infrared"] @ names["visible"])
    assert -1 <= similarity <= 1
    assert capsys.readouterr().out == f"similarity {similarity:.3f}\n"
    assert (readers_folder / "correspondences.png").read_bytes().startswith(b"\x89PNG")


def test_the_examples_of_extensions_are_files_that_tests_run():
    code = [block for language, block in blocks((ROOT / "docs" / "extending.md").read_text()) if language == "python"]
    for name in EXAMPLES:
        assert (ROOT / "tests" / name).read_text() in code, name


def write_kinds(folder):
    """Write images of the kinds that cameras and programs write, 80 × 64 pixels; two have their orientation in EXIF."""
    folder.mkdir()
    shades = np.random.default_rng(0).integers(0, 65536, (10, 8), np.uint16)
    deep = np.kron(shades, np.ones((8, 8), np.uint16)) + np.arange(64, dtype=np.uint16) // 4
    photo = Image.fromarray(np.stack([deep >> 8, deep >> 9, 255 - (deep >> 8)], axis=2).astype(np.uint8))
    turned, clear = Image.Exif(), Image.fromarray((deep >> 8).astype(np.uint8))
    turned[0x0112] = 6
    photo.save(folder / "turned.jpg", exif=turned)
    photo.convert("CMYK").save(folder / "cmyk.jpg")
    photo.convert("L").save(folder / "gray.jpg", progressive=True)
    photo.convert("LA").save(folder / "gray-transparent.png")
    photo.convert("1").save(folder / "two-colours.png")
    photo.convert("P").save(folder / "palette.png", transparency=3)
    photo.save(folder / "frames.gif", save_all=True, append_images=[photo.rotate(180)])
    for ending in ("png", "tiff"):
        Image.fromarray(deep).save(folder / f"sixteen-bits.{ending}")
    photo.putalpha(clear)
    photo.save(folder / "transparent.png", exif=turned)


@pytest.mark.slow
def test_the_openvino_example_gives_the_embeddings_of_the_onnx_file(readers_folder, lba):
    """Run the page's export and conversion, and its code without this package and without PyTorch."""
    pytest.importorskip("onnxscript")
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("openvino")
    lba(*EXPORT.split()[1:])
    session = onnxruntime.InferenceSession("person.onnx")
    height, width = session.get_inputs()[0].shape[2:]
    inputs = np.random.default_rng(0).standard_normal((3, 3, height, width)).astype(np.float32)
    infrared = np.array([True, False, True])
    np.savez("inputs.npz", images=inputs, infrared=infrared)
    blocked = "import sys; sys.modules.update(lba_cli=None, torch=None)\n"
    saving = 'given = np.load("inputs.npz")\nnp.save("found.npy", embed_pixels(given["images"], given["infrared"]))'
    code = blocked + python_block("docs/deployment.md", "openvino") + saving
    subprocess.run([sys.executable, "-I", "-c", code], check=True)
    (wanted,) = session.run(None, {"images": inputs, "infrared": infrared})
    np.testing.assert_allclose(np.load("found.npy"), wanted, atol=1e-4)


@pytest.mark.slow
def test_the_plain_onnxruntime_example_gives_our_embeddings(readers_folder, lba):
    """Run the page's export, then its code without this package and without PyTorch, on images of many kinds."""
    pytest.importorskip("onnxscript")
    pytest.importorskip("onnxruntime")
    lba(*EXPORT.split()[1:])
    write_kinds(readers_folder / "kinds")
    blocked = "import sys; sys.modules.update(lba_cli=None, torch=None)\n"
    comparison = (
        "from pathlib import Path\n"
        'paths = sorted(map(str, Path("kinds").iterdir())) + ["infrared.jpg", "visible.jpg"]\n'
        "print(json.dumps([[embed(path, flag).tolist() for path in paths] for flag in (False, True)]))"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", blocked + python_block("docs/deployment.md", "onnxruntime") + comparison],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    similarity, vectors = done.stdout.splitlines()
    found = np.asarray(json.loads(vectors))
    checkpoint = EXPORT.split()[3]
    for number, modality in enumerate(("visible", "infrared")):
        words = ("embed", "kinds", "infrared.jpg", "visible.jpg", "--modality", modality, "--checkpoint", checkpoint)
        lba(*words, "--output", f"{modality}.npz")
        ours = np.load(f"{modality}.npz")
        wanted = dict(zip(ours["paths"].tolist(), ours["features"], strict=True))
        assert len(wanted) == 12
        names = [*sorted(path for path in wanted if path.startswith("kinds")), "infrared.jpg", "visible.jpg"]
        for name, vector in zip(names, found[number], strict=True):
            np.testing.assert_allclose(vector, wanted[name], atol=1e-4, err_msg=name)
    assert similarity == f"similarity {found[1][-2] @ found[0][-1]:.3f}"
