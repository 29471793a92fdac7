"""``lba embed`` and ``lba search`` from the command line, from images to ranked lists, and their refusals."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from small_setup import HEIGHT, SMALL, WIDTH

from lba_cli.model.checkpoint import Checkpoint, Description, write_checkpoint
from lba_cli.model.initial_weights import build_network


def refused(result):
    assert "error: " in result.output, result.output
    message = result.output.split("error: ", 1)[1].strip()
    assert len(message.splitlines()) == 1, message
    return message


@pytest.fixture(scope="module")
def other_file(tmp_path_factory):
    """A checkpoint of another network of the same shape."""
    path = tmp_path_factory.mktemp("other") / "other.pt"
    network = build_network("resnet18", 12, "none", seed=4)
    write_checkpoint(
        path, Checkpoint(Description("resnet18", 12, HEIGHT, WIDTH, "x", 0, config=SMALL), network.state_dict())
    )
    return path


@pytest.fixture
def built(lba, network_file, photos):
    lba("search", "build", "cam1", "--index", "gallery", "--modality", "visible", "--checkpoint", network_file)
    return photos / "gallery"


def test_a_folder_and_a_glob_are_embedded(lba, network_file, photos):
    (photos / "cam1" / "Thumbs.db").touch()
    result = lba("embed", "cam1", "--modality", "visible", "--output", "v.npz", "--checkpoint", network_file)
    count = len(list((photos / "cam1").rglob("*.jpg")))
    assert "1 file was passed over" in result.output
    assert f"v.npz: {count} visible images, embeddings of 512 numbers" in result.output
    stored = np.load(photos / "v.npz")
    assert stored["paths"].tolist() == sorted(str(p.relative_to(photos)) for p in (photos / "cam1").rglob("*.jpg"))
    lba("embed", "cam3/**/*.jpg", "--modality", "infrared", "--output", "i.csv", "--checkpoint", network_file)
    assert len((photos / "i.csv").read_text().splitlines()) == 1 + len(list((photos / "cam3").rglob("*.jpg")))


def test_embed_refuses_mistakes_before_the_work(lba, network_file, photos):
    words = ("--modality", "visible", "--checkpoint", network_file)
    (photos / "there.npz").touch()
    assert "exists already" in refused(lba("embed", "cam1", *words, "--output", "there.npz", status=2))
    assert "end in .npz or .csv" in refused(lba("embed", "cam1", *words, "--output", "x.json", status=2))
    assert "no such image" in refused(lba("embed", "nowhere", *words, "--output", "x.npz", status=2))
    assert "leave one out" in refused(lba("embed", "cam1", *words, "--model", "x.onnx", "--output", "x.npz", status=2))
    exported = ("--modality", "visible", "--checkpoint", "person.onnx", "--output", "x.npz")
    assert "name an exported ONNX file with --model" in refused(lba("embed", "cam1", *exported, status=2))
    assert "leave out data.height" in refused(
        lba("embed", "cam1", *words, "--output", "x.npz", "--set", "data.height=32", status=2)
    )


@pytest.mark.slow
def test_queries_are_embedded_in_the_index_s_precision(lba, network_file, photos):
    words = ("--modality", "visible", "--checkpoint", network_file)
    lba("search", "build", "cam1", "--index", "exact", *words)
    lba("search", "build", "cam1", "--index", "rounded", *words, "--precision", "bfloat16", "--dtype", "float16")
    manifests = [json.loads((photos / name / "manifest.json").read_text()) for name in ("exact", "rounded")]
    assert [made["precision"] for made in manifests] == ["float32", "bfloat16"]
    assert [made["dtype"] for made in manifests] == ["float32", "float16"]
    assert manifests[0]["model"] != manifests[1]["model"]
    for name in ("exact", "rounded"):
        lba("search", "query", name, "cam3", "--modality", "infrared", "--top", 1, "--json", f"{name}.json")
        lba("search", "add", name, "cam1")
    scores = [
        [query["results"][0]["score"] for query in json.loads((photos / f"{name}.json").read_text())["queries"]]
        for name in ("exact", "rounded")
    ]
    np.testing.assert_allclose(*scores, atol=0.02)
    assert "rebuild the index" in refused(
        lba(
            "search",
            "query",
            "exact",
            "cam3",
            "--modality",
            "infrared",
            "--set",
            "evaluation.precision=bfloat16",
            status=2,
        )
    )


def test_an_onnx_file_has_its_own_precision(lba, photos):
    words = ("--modality", "visible", "--model", "x.onnx", "--precision", "bfloat16", "--output", "v.npz")
    assert "--precision is for checkpoints" in refused(lba("embed", "cam1", *words, status=2))


def test_control_characters_in_file_names_do_not_reach_the_terminal(lba, network_file, photos):
    name = "a\x1b[31m\x07[bold]\n.jpg"
    (photos / "odd").mkdir()
    shutil.copy(sorted((photos / "cam1").rglob("*.jpg"))[0], photos / "odd" / name)
    (photos / "odd" / f"broken{name}").write_bytes(b"x")
    words = ("--modality", "visible", "--checkpoint", network_file, "--skip-broken")
    shown = lba("search", "build", "odd", "--index", "g", *words).output
    shown += lba("search", "query", "g", f"odd/{name}", *words, "--same-modality").output
    shown += lba("search", "info", "g").output
    assert "a�[31m�[bold]" in shown
    assert "\x1b" not in shown
    assert "\x07" not in shown


def test_broken_images_are_named_or_skipped(lba, network_file, photos):
    broken = sorted((photos / "cam1").rglob("*.jpg"))[1]
    broken.write_bytes(broken.read_bytes()[:200])
    words = ("embed", "cam1", "--modality", "visible", "--output", "x.npz", "--checkpoint", network_file)
    result = lba(*words, status=2)
    assert f"{broken.relative_to(photos)}: " in result.output.splitlines()[-1]
    assert not (photos / "x.npz").exists()
    assert f"left out {broken.relative_to(photos)}: " in lba(*words, "--skip-broken").output


@pytest.mark.slow
def test_a_checkpoint_and_its_export_give_the_same_embeddings(lba, network_file, photos):
    pytest.importorskip("onnxscript")
    pytest.importorskip("onnxruntime")
    lba("export", "--checkpoint", network_file, "--format", "onnx", "--output", "person.onnx")
    for modality, camera in (("visible", "cam1"), ("infrared", "cam3")):
        words = ("embed", camera, "--modality", modality)
        lba(*words, "--output", "a.npz", "--checkpoint", network_file, "--force")
        lba(*words, "--output", "b.npz", "--model", "person.onnx", "--force")
        network, exported = (np.load(photos / name)["features"] for name in ("a.npz", "b.npz"))
        np.testing.assert_allclose(network, exported, atol=1e-4)
    lba("search", "build", "cam1", "--index", "g", "--modality", "visible", "--model", "person.onnx")
    query = ("search", "query", "g", "cam3", "--modality", "infrared")
    assert "person.onnx, which built the index" in lba(*query, "--json", "a.json").output
    lba(*query, "--json", "b.json", "--checkpoint", network_file)
    lists = [json.loads((photos / name).read_text())["queries"] for name in ("a.json", "b.json")]
    ranked = [[hit["path"] for each in found for hit in each["results"]] for found in lists]
    assert ranked[0] == ranked[1]


@pytest.mark.slow
def test_exports_with_two_stems_build_an_index_and_search_it(lba, network_file, photos):
    pytest.importorskip("onnxscript")
    pytest.importorskip("onnxruntime")
    for precision in ("float32", "float16"):
        words = ("--format", "onnx", "--stems", "two", "--precision", precision, "--output", f"{precision}.onnx")
        lba("export", "--checkpoint", network_file, *words)
    visible = ("--modality", "visible", "--model", "float16-visible.onnx")
    lba("embed", "cam1", *visible, "--output", "v.npz")
    message = refused(lba("embed", "cam3", "--modality", "infrared", *visible[2:], "--output", "i.npz", status=2))
    assert "float16-visible.onnx: embeds only visible images; name the file of the infrared stem" in message
    assert not list(photos.glob("*i.npz*"))
    lba("search", "build", "cam1", "--index", "g", *visible)
    query = ("search", "query", "g", "cam3", "--modality", "infrared")
    assert "float16-visible.onnx: embeds only visible images" in refused(lba(*query, status=2))
    lba(*query, "--model", "float16-infrared.onnx")
    for other in (("--model", "float32-infrared.onnx"), ("--checkpoint", network_file)):
        assert "built with the model" in refused(lba(*query, *other, status=2))


def test_a_query_gives_a_table_json_and_a_picture(lba, network_file, built, photos):
    query = sorted((photos / "cam3").rglob("*.jpg"))[0].relative_to(photos)
    files = ("--json", "ranks.json", "--picture", "ranks.png")
    result = lba("search", "query", "gallery", query, "--modality", "infrared", "--top", 5, *files)
    content = json.loads((photos / "ranks.json").read_text())
    (ranked,) = content["queries"]
    assert ranked["query"] == str(query)
    assert [each["rank"] for each in ranked["results"]] == [1, 2, 3, 4, 5]
    for modality, name, camera in (("visible", "v.npz", "cam1"), ("infrared", "i.npz", query)):
        lba("embed", camera, "--modality", modality, "--output", name, "--checkpoint", network_file)
    gallery, asked = np.load(photos / "v.npz"), np.load(photos / "i.npz")
    scores = gallery["features"] @ asked["features"][0]
    best = np.argsort(-scores, kind="stable")[:5]
    assert [each["path"] for each in ranked["results"]] == [str(photos / gallery["paths"][row]) for row in best]
    np.testing.assert_allclose([each["score"] for each in ranked["results"]], scores[best], atol=1e-5)
    for row in best:
        assert gallery["paths"][row] in result.output
    assert (photos / "ranks.png").read_bytes().startswith(b"\x89PNG")
    message = refused(lba("search", "query", "gallery", query, "--modality", "infrared", *files, status=2))
    assert "exists already" in message


def test_images_are_added_to_an_index_and_removed(lba, network_file, built, photos, tiny):
    for person in sorted((tiny / "cam1").iterdir())[4:6]:
        shutil.copytree(person, photos / "more" / person.name)
    before = json.loads((built / "manifest.json").read_text())["images"]
    added = len(list((photos / "more").rglob("*.jpg")))
    assert f"gallery: {before + added} visible images" in lba("search", "add", "gallery", "more").output
    result = lba("search", "remove", "gallery", "more")
    assert f"{added} images were removed" in result.output
    shown = lba("search", "info", "gallery").output
    assert f"{before} visible" in shown
    assert "intact: every byte" in shown
    assert "matches no image in the index" in refused(lba("search", "remove", "gallery", "more", status=2))
    message = refused(lba("search", "add", "gallery", "cam3", "--modality", "infrared", status=2))
    assert "holds visible images; build another index for infrared images" in message


def test_wrong_models_modalities_and_damaged_indexes_are_refused(lba, built, other_file):
    words = ("search", "query", "gallery", "cam3", "--modality")
    assert "built with the model" in refused(lba(*words, "infrared", "--checkpoint", other_file, status=2))
    assert "--same-modality" in refused(lba(*words, "visible", status=2))
    lba(*words, "visible", "--same-modality")
    message = refused(lba("search", "add", "gallery", "cam1", "--checkpoint", other_file, status=2))
    assert "built with the model" in message
    assert "built without FAISS" in refused(lba(*words, "infrared", "--engine", "faiss", status=2))
    os.truncate(built / "vectors-1.npy", 1000)
    assert "its size is 1,000 bytes" in refused(lba(*words, "infrared", status=2))
    assert "its size is 1,000 bytes" in refused(lba("search", "info", "gallery", status=2))
    assert "no such index" in refused(lba("search", "info", "elsewhere", status=2))


def test_a_checkpoint_that_was_trained_further_is_another_model(lba, network_file, other_file, photos):
    shutil.copy(network_file, photos / "best.pt")
    lba("search", "build", "cam1", "--index", "g", "--modality", "visible", "--checkpoint", "best.pt")
    shutil.copy(other_file, photos / "best.pt")
    message = refused(lba("search", "query", "g", "cam3", "--modality", "infrared", status=2))
    assert "built with the model" in message


def test_an_index_is_not_overwritten_without_force(lba, network_file, built):
    words = ("search", "build", "cam1/*", "--index", "gallery", "--modality", "visible", "--checkpoint", network_file)
    assert "exists already" in refused(lba(*words, status=2))
    lba(*words, "--force")
    assert sorted(path.name for path in built.iterdir()) == ["manifest.json", "paths-2.csv", "vectors-2.npy"]


def test_faiss_finds_the_same_images(lba, network_file, photos):
    pytest.importorskip("faiss")
    words = ("--modality", "visible", "--checkpoint", network_file, "--engine", "faiss")
    lba("search", "build", "cam1", "--index", "g", *words)
    for engine in ("exact", "faiss"):
        query = ("search", "query", "g", "cam3", "--modality", "infrared", "--engine", engine)
        lba(*query, "--json", f"{engine}.json")
    exact, near = (json.loads((photos / f"{engine}.json").read_text())["queries"] for engine in ("exact", "faiss"))
    assert exact == near


@pytest.mark.slow
@pytest.mark.parametrize("number", [pytest.param(signal.SIGTERM, marks=pytest.mark.slow), signal.SIGKILL])
def test_an_interrupted_embedding_continues(lba, network_file, photos, tmp_path, number):
    words = ["embed", "cam1", "--modality", "visible", "--checkpoint", str(network_file)]
    words += ["--set", "evaluation.batch_size=1"]
    process = subprocess.Popen(
        [sys.executable, "-m", "lba_cli", *words, "--output", "x.npz"], cwd=tmp_path, stderr=subprocess.PIPE, text=True
    )
    done = tmp_path / ".x.npz.unfinished" / "done-1.jsonl"
    deadline = time.monotonic() + 120
    while not (done.exists() and done.stat().st_size) and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == (-number if number == signal.SIGKILL else 128 + number), errors
    assert "Traceback" not in errors
    assert not (tmp_path / "x.npz").exists()
    if number != signal.SIGKILL:
        assert "the same command continues from there" in errors
    assert "continuing after " in lba(*words, "--output", "x.npz").output
    lba(*words, "--output", "y.npz")
    resumed, whole = np.load(tmp_path / "x.npz"), np.load(tmp_path / "y.npz")
    assert resumed["paths"].tolist() == whole["paths"].tolist()
    # the first process may have had another number of threads, which changes the last bits
    np.testing.assert_allclose(resumed["features"], whole["features"], atol=1e-6)
    assert not list(tmp_path.glob(".*"))


def test_labels_are_for_milvus_and_are_refused_before_anything_is_read(lba):
    words = ("--modality", "visible", "--labels", "no-such-list.csv")
    message = "--labels is for --engine milvus: leave it out"
    assert message in refused(lba("search", "build", "nowhere", "--index", "gallery", *words, status=2))
    assert message in refused(lba("search", "add", "gallery", "nowhere", *words, status=2))
