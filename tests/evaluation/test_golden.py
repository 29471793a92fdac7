"""Ranking and draws against golden figures."""

import json

import numpy as np
import pytest
from small_setup import GOLDEN

from lba_cli.datasets.sysu import GALLERY_CAMERAS
from lba_cli.evaluation import community_gallery, load_permutations, official_gallery, rank_metrics


@pytest.mark.parametrize("protocol", ["sysu", "regdb"])
def test_ranking(golden, protocol):
    z = golden(f"ranking_{protocol}")
    cameras = (z["query_camera"], z["gallery_camera"]) if protocol == "sysu" else (None, None)
    found = rank_metrics(z["distance"], z["query_id"], z["gallery_id"], *cameras, protocol=protocol)
    np.testing.assert_allclose(found.cmc, z["cmc"], atol=1e-6)
    assert found.mAP == pytest.approx(float(z["mAP"]), abs=1e-6)
    assert found.mINP == pytest.approx(float(z["mINP"]), abs=1e-6)


@pytest.mark.parametrize("case", ["a", "b"])
def test_ranking_by_llcms_rules(golden, case):
    z = {
        name.removeprefix(f"{case}_"): value for name, value in golden("ranking_llcm").items() if name.startswith(case)
    }
    labels = [z[name] for name in ("query_id", "gallery_id", "query_camera", "gallery_camera")]
    found = rank_metrics(z["distance"], *labels, protocol="llcm")
    np.testing.assert_allclose(found.cmc, z["cmc"], atol=1e-6)
    assert found[1:3] == pytest.approx((float(z["mAP"]), float(z["mINP"])), abs=1e-6)


def test_community_draws():
    case = json.loads((GOLDEN / "gallery_sysu_community.json").read_text())
    directories = {
        (int(name.split("/")[1]), int(name[3])): [f"{name}/{image}" for image in range(count)]
        for name, count in case["images_per_directory"].items()
        if count
    }
    assert case["drawn_zero_based_index_in_sorted_listing"]
    for key, wanted in case["drawn_zero_based_index_in_sorted_listing"].items():
        mode, trial = key.split("/")
        drawn = community_gallery(directories, (1, 2, 4, 5) if mode == "all" else (1, 2), int(trial))
        assert drawn == [f"{directory}/{image}" for directory, image in wanted]


@pytest.mark.parametrize("shots", [1, 10])
@pytest.mark.parametrize("mode", ["all", "indoor"])
def test_official_protocol(golden, mode, shots):
    z = golden("ranking_sysu_official")
    permutations = load_permutations(GOLDEN / "mini_rand_perm_cam.mat")
    columns = (z["feature_camera"].tolist(), z["feature_id"].tolist(), z["feature_image"].tolist())
    feature = dict(zip(zip(*columns, strict=True), z["feature"].astype(float), strict=True))
    directories = {}
    for image in sorted(feature):
        directories.setdefault((image[1], image[0]), []).append(image)
    queries = [image for key in sorted(directories) if key[1] in (3, 6) for image in directories[key]]
    for trial in range(10):
        gallery = official_gallery(directories, permutations, GALLERY_CAMERAS[f"{mode}-search"], trial, shots)
        distance = np.linalg.norm(
            np.stack([feature[q] for q in queries])[:, None] - np.stack([feature[g] for g in gallery])[None], axis=2
        )
        sides = [np.array(side) for side in (queries, gallery)]
        found = rank_metrics(distance, *(s[:, 1] for s in sides), *(s[:, 0] for s in sides), protocol="sysu")
        wanted = z[f"{mode}_{shots}_cmc"][trial]
        np.testing.assert_allclose(found.cmc[: len(wanted)], wanted, atol=1e-6)
        assert found.mAP == pytest.approx(z[f"{mode}_{shots}_mAP"][trial], abs=1e-6)
