"""Embedding images into a file: the right vectors, a whole file or none, and continuing after a stop."""

import csv
import json
import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
from fake_gallery import DIMENSION, made_embedder, write_image
from fake_listener import Recorder

from lba_cli.data.image_files import read_image
from lba_cli.data.loaders import to_images
from lba_cli.errors import DataError, Interrupted, LbaError
from lba_cli.files import whole_file
from lba_cli.model import load_network
from lba_cli.model.checkpoint import read_checkpoint
from lba_cli.reporting import Silent
from lba_cli.search import embed_file
from lba_cli.search.embed_file import embed_to_file
from lba_cli.search.embed_paths import EmbeddingRequest
from lba_cli.search.embedder import network_embedder
from lba_cli.search.partial_embedding import PartialEmbedding


def embed(embedder, paths, output, modality="visible", *, batch_size=4, skip_broken=False, listener=None, force=False):
    request = EmbeddingRequest(embedder, modality, paths, batch_size, skip_broken)
    return embed_to_file(request, output, listener=listener or Silent(), force=force)


def test_vectors_are_those_of_the_network(network_file, images, tmp_path):
    network = load_network(network_file)
    description = read_checkpoint(network_file).description
    embedder = network_embedder(network, "net.pt")
    for modality in ("visible", "infrared"):
        embed(embedder, images, tmp_path / f"{modality}.npz", modality)
        stored = np.load(tmp_path / f"{modality}.npz", allow_pickle=False)
        batch = to_images(np.stack([read_image(path, description.height, description.width) for path in images]))
        with torch.no_grad():
            wanted = network.embed(batch, modality).numpy()
        assert stored["paths"].tolist() == images
        assert stored["features"].dtype == np.float32
        np.testing.assert_allclose(stored["features"], wanted, atol=1e-6)
        assert (str(stored["modality"]), str(stored["model"])) == (modality, embedder.fingerprint)
        assert (int(stored["height"]), int(stored["width"])) == (description.height, description.width)


def test_csv_gives_the_same_numbers_back(embedder, tmp_path):
    paths = [write_image(tmp_path / name, seed) for seed, name in enumerate(("a, b.png", 'say "x".png', "ü.png"))]
    for ending in ("csv", "npz"):
        embed(embedder, sorted(paths), tmp_path / f"out.{ending}", "infrared")
    with (tmp_path / "out.csv").open(encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file)
    assert header == ["path", "modality", *(f"v{column}" for column in range(DIMENSION))]
    stored = np.load(tmp_path / "out.npz")
    assert [row[0] for row in rows] == stored["paths"].tolist() == sorted(paths)
    assert {row[1] for row in rows} == {"infrared"}
    assert np.array_equal(np.asarray([row[2:] for row in rows]).astype(np.float32), stored["features"])


def test_unreadable_images_are_all_named_and_left_out_if_allowed(embedder, images, tmp_path):
    for path, content in ((images[3], b""), (images[9], b"no image")):
        Path(path).write_bytes(content)
    output = tmp_path / "out.npz"
    with pytest.raises(DataError, match=r"2 of 23 images can't be decoded.*--skip-broken") as caught:
        embed(embedder, images, output)
    assert [line.split(":")[0].strip() for line in str(caught.value).splitlines()[1:]] == [images[3], images[9]]
    assert not output.exists()
    again, calls = made_embedder()
    heard = Recorder()
    made = embed(again, images, output, skip_broken=True, listener=heard)
    assert not calls, "the vectors from before the refusal are kept"
    assert made == 21
    assert [line.split(":")[0] for line in heard.warnings] == [f"left out {images[3]}", f"left out {images[9]}"]
    kept = [path for path in images if path not in (images[3], images[9])]
    assert np.load(output)["paths"].tolist() == kept
    assert np.load(output)["features"].shape == (21, DIMENSION)
    assert not list(tmp_path.glob(".*"))


def test_a_file_of_unreadable_images_only_has_no_vectors(embedder, tmp_path):
    (tmp_path / "x.png").touch()
    made = embed(embedder, [str(tmp_path / "x.png")], tmp_path / "out.npz", skip_broken=True)
    assert made == 0
    assert np.load(tmp_path / "out.npz")["features"].shape == (0, DIMENSION)


@pytest.mark.parametrize("stop", [KeyboardInterrupt, OSError])
@pytest.mark.parametrize("after", [0, 1, 3])
def test_stopped_work_goes_on_with_the_same_result(images, tmp_path, stop, after):
    whole, calls = made_embedder()
    embed(whole, images, tmp_path / "whole.npz")
    stopped, few = made_embedder()

    def function(batch, modality):
        if len(few) == after:
            raise stop
        return made(batch, modality)

    made = stopped.function
    object.__setattr__(stopped, "function", function)
    with pytest.raises(Interrupted if stop is KeyboardInterrupt else stop) as caught:
        embed(stopped, images, tmp_path / "out.npz")
    if stop is KeyboardInterrupt:
        assert str(caught.value) == f"stopped after {4 * after} of 23 images; the same command continues from there"
        assert caught.value.signal == signal.SIGINT
    assert not (tmp_path / "out.npz").exists()
    again, rest = made_embedder()
    heard = Recorder()
    embed(again, images, tmp_path / "out.npz", listener=heard)
    assert few + rest == calls
    assert (f"{tmp_path / 'out.npz'}: continuing after {4 * after} of 23 images" in heard.lines) == (after > 0)
    assert (tmp_path / "out.npz").read_bytes() == (tmp_path / "whole.npz").read_bytes()
    assert not list(tmp_path.glob(".*"))


KILLED = """
import os, sys
sys.path.insert(0, sys.argv[1])
from fake_gallery import made_embedder
from lba_cli.reporting import Silent
from lba_cli.search import partial_embedding
from lba_cli.search.embed_file import embed_to_file
from lba_cli.search.embed_paths import EmbeddingRequest
from pathlib import Path
embedder, calls = made_embedder()
where, number = sys.argv[2], int(sys.argv[3])
real = partial_embedding.append_line
def kill(path, line):
    if len(calls) == number:
        if where == "torn":
            with open(path, "a") as file: file.write(line[:10])
        if where != "line": os.kill(os.getpid(), 9)
    real(path, line)
    if len(calls) == number: os.kill(os.getpid(), 9)
partial_embedding.append_line = kill
embed_to_file(EmbeddingRequest(embedder, "visible", sys.argv[5:], 4), Path(sys.argv[4]), listener=Silent())
"""


@pytest.mark.slow
@pytest.mark.parametrize("where", ["vectors", "line", "torn"])
def test_killed_work_goes_on_wherever_it_was(images, tmp_path, where):
    embed(made_embedder()[0], images, tmp_path / "whole.csv")
    words = [str(Path(__file__).parent.parent), where, "3", str(tmp_path / "out.csv"), *images]
    done = subprocess.run([sys.executable, "-c", KILLED, *words], check=False, env={**os.environ})
    assert done.returncode == -signal.SIGKILL
    again, calls = made_embedder()
    embed(again, images, tmp_path / "out.csv")
    assert sum(calls) == 23 - (12 if where == "line" else 8)
    assert (tmp_path / "out.csv").read_bytes() == (tmp_path / "whole.csv").read_bytes()
    assert not list(tmp_path.glob(".*"))


def begun(images, output):
    """Stop an embedding after eight images, and return the folder in which its vectors are kept."""
    stopped, calls = made_embedder()
    made = stopped.function

    def function(batch, modality):
        if len(calls) == 2:
            raise KeyboardInterrupt
        return made(batch, modality)

    object.__setattr__(stopped, "function", function)
    with pytest.raises(Interrupted):
        embed(stopped, images, output)
    return output.with_name(f".{output.name}.unfinished")


@pytest.mark.parametrize("change", ["model", "modality", "images", "image"])
def test_vectors_of_other_work_are_thrown_away_with_a_message(images, tmp_path, change):
    output, heard = tmp_path / "out.npz", Recorder()
    begun(images, output)
    embedder, calls = made_embedder(seed=1 if change == "model" else 0)
    if change == "image":
        write_image(tmp_path / "photos/0/000.png", 99)
        os.utime(tmp_path / "photos/0/000.png", ns=(1, 1))
    paths = images[1:] if change == "images" else images
    modality = "infrared" if change == "modality" else "visible"
    embed(embedder, paths, output, modality, listener=heard)
    assert heard.lines == [
        f"{output}: vectors of an unfinished earlier attempt with another model or other images are discarded"
    ]
    assert sum(calls) == len(paths)
    embed(made_embedder(seed=1 if change == "model" else 0)[0], paths, tmp_path / "new.npz", modality)
    assert output.read_bytes() == (tmp_path / "new.npz").read_bytes()


def test_work_goes_on_with_another_batch_size(images, tmp_path):
    """As after running out of memory, which a smaller batch size avoids."""
    output = tmp_path / "out.npz"
    begun(images, output)
    embedder, calls = made_embedder()
    embed(embedder, images, output, batch_size=3)
    assert calls == [3, 3, 3, 3, 3]
    embed(made_embedder()[0], images, tmp_path / "whole.npz")
    assert output.read_bytes() == (tmp_path / "whole.npz").read_bytes()


# Each damage to the two batches that are kept, four images each, and the number of images that have to be embedded again.
DAMAGE = {
    "vectors": 23,
    "later vectors": 19,
    "plan": 23,
    "line": 23,
    "numbers": 23,
    "skewed": 19,
    "negative": 19,
    "flipped": 23,
}


@pytest.mark.parametrize(("damage", "again"), DAMAGE.items())
def test_damaged_kept_vectors_are_computed_again(images, tmp_path, damage, again):
    output = tmp_path / "out.npz"
    state = begun(images, output)
    vectors, done = state / "vectors-1.f32", state / "done-1.jsonl"
    first, second = map(json.loads, done.read_text().splitlines())
    if damage in ("vectors", "later vectors"):
        os.truncate(vectors, 10 if damage == "vectors" else vectors.stat().st_size - 1)
    elif damage == "plan":
        (state / "plan.json").write_text("{")
    elif damage == "line":
        done.write_text("[]\n")
    elif damage == "flipped":
        content = bytearray(vectors.read_bytes())
        content[5] ^= 1
        vectors.write_bytes(content)
    elif damage in ("skewed", "negative"):
        changed = {**second, "stop": 9} if damage == "skewed" else {**second, "unreadable": [[-1, "x"]]}
        done.write_text("".join(f"{json.dumps(line)}\n" for line in (first, changed)))
    else:
        done.write_text(json.dumps({**first, "begin": 90, "stop": 99}) + "\n")
    embedder, calls = made_embedder()
    embed(embedder, images, output)
    assert sum(calls) == again
    assert np.load(output)["paths"].tolist() == images
    embed(made_embedder()[0], images, tmp_path / "whole.npz")
    assert output.read_bytes() == (tmp_path / "whole.npz").read_bytes()


def test_a_file_of_the_users_in_the_hidden_folder_is_kept(images, tmp_path):
    output = tmp_path / "out.npz"
    state = begun(images, output)
    (state / "notes.txt").write_text("mine")
    embed(made_embedder(seed=1)[0], images, output)
    assert output.exists()
    assert [path.name for path in state.iterdir()] == ["notes.txt"]
    embed(made_embedder()[0], images, output, force=True)
    assert (state / "notes.txt").read_text() == "mine"


def test_a_signal_after_the_output_is_complete_promises_no_continuation(images, tmp_path, monkeypatch):
    def interrupted(self, discard=PartialEmbedding.discard):
        signal.raise_signal(signal.SIGINT)
        discard(self)

    monkeypatch.setattr(PartialEmbedding, "discard", interrupted)
    with pytest.raises(KeyboardInterrupt):
        embed(made_embedder()[0], images, tmp_path / "out.npz")
    assert np.load(tmp_path / "out.npz")["paths"].tolist() == images
    assert not list(tmp_path.glob(".*"))


def test_a_signal_while_the_output_appears_promises_no_continuation(images, tmp_path, monkeypatch):
    """The output is in its place, and the vectors kept beside it are not yet gone."""

    @contextmanager
    def interrupted(path, *, replace):
        with whole_file(path, replace=replace) as partial:
            yield partial
        raise KeyboardInterrupt

    monkeypatch.setattr(embed_file, "whole_file", interrupted)
    with pytest.raises(KeyboardInterrupt):
        embed(made_embedder()[0], images, tmp_path / "new.npz")
    (tmp_path / "old.npz").write_text("replaced")
    with pytest.raises(Interrupted, match="the same command continues from there"):
        embed(made_embedder()[0], images, tmp_path / "old.npz", force=True)


def test_an_existing_output_is_kept(embedder, images, tmp_path):
    output = tmp_path / "out.npz"
    output.write_text("mine")
    with pytest.raises(LbaError, match="exists already"):
        embed(embedder, images, output)
    assert output.read_text() == "mine"
    embed(embedder, images, output, force=True)
    assert np.load(output)["paths"].tolist() == images
    with pytest.raises(LbaError, match=r"end in \.npz or \.csv"):
        embed(embedder, images, tmp_path / "out.txt")
