"""CMC, mAP and mINP in plain loops, one query and one gallery image at a time."""


def rank(distance, query_ids, gallery_ids, query_cameras, gallery_cameras, protocol, max_rank=20):
    hits, precisions, penalties = [], [], []
    for q, row in enumerate(distance):
        order = sorted(range(len(row)), key=lambda g: (row[g], g))
        ranked = []
        for g in order:
            same_identity = gallery_ids[g] == query_ids[q]
            same_camera = query_cameras is not None and gallery_cameras[g] == query_cameras[q]
            if protocol == "sysu" and query_cameras is not None and query_cameras[q] == 3 and gallery_cameras[g] == 2:
                continue
            if protocol in ("llcm", "plain") and same_identity and same_camera:
                continue
            ranked.append(gallery_ids[g])
        right = [place for place, identity in enumerate(ranked) if identity == query_ids[q]]
        if not right:
            continue
        counted = ranked
        if protocol in ("sysu", "llcm"):
            counted = list(dict.fromkeys(ranked))
        place = counted.index(query_ids[q])
        hits.append([float(k >= place) for k in range(max_rank)])
        precisions.append(sum((n + 1) / (place + 1) for n, place in enumerate(right)) / len(right))
        penalties.append(len(right) / (right[-1] + 1))
    count = len(hits)
    cmc = [sum(column) / count for column in zip(*hits, strict=True)]
    return cmc, sum(precisions) / count, sum(penalties) / count, count
