"""SYSU-MM01's figures by a loop over the queries."""

import numpy as np


def rank(distance, query_ids, gallery_ids, query_cameras, gallery_cameras, max_rank=20):
    """(cmc, mAP, mINP)."""
    indices = np.argsort(distance, axis=1, kind="stable")
    ranked_ids = gallery_ids[indices]
    curves, precisions, penalties = [], [], []
    for query in range(len(distance)):
        order = indices[query]
        keep = ~((query_cameras[query] == 3) & (gallery_cameras[order] == 2))
        listed = ranked_ids[query][keep]
        first_seen = np.unique(listed, return_index=True)[1]
        people = np.array([listed[place] for place in sorted(first_seen)])
        match = (listed == query_ids[query]).astype(np.int32)
        if not match.any():
            continue
        curve = (people == query_ids[query]).astype(np.int32).cumsum()[:max_rank]
        curves.append(np.pad(curve, (0, max_rank - len(curve)), mode="edge"))
        found = match.cumsum()
        last = np.max(np.where(match == 1))
        penalties.append(found[last] / (last + 1.0))
        shares = np.asarray([count / (place + 1.0) for place, count in enumerate(found)])
        precisions.append((shares * match).sum() / match.sum())
    return np.asarray(curves, np.float32).sum(0) / len(curves), np.mean(precisions), np.mean(penalties)
