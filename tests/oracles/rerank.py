"""k-reciprocal re-ranking (Zhong et al., CVPR 2017) as the paper describes it, with sets, dictionaries and loops."""

import math


def rerank(queries, gallery, k1, k2, weight):
    pool = [[float(x) for x in row] for row in [*queries, *gallery]]
    count = len(pool)
    original = []
    for p in range(count):
        row = [sum((a - b) ** 2 for a, b in zip(pool[p], pool[g], strict=True)) for g in range(count)]
        largest = max(row)
        original.append([d / largest if largest else 0.0 for d in row])
    # Every image's ranking of the pool: itself, then by distance, ties by index.
    ranking = [sorted(range(count), key=lambda g: (g != p, original[p][g], g)) for p in range(count)]

    def nearest(p, k):
        return set(ranking[p][: k + 1])

    def reciprocal(p, k):
        return {g for g in nearest(p, k) if p in nearest(g, k)}

    encoding = []
    for p in range(count):
        own = reciprocal(p, k1)
        expanded = set(own)
        for q in own:
            candidate = reciprocal(q, round(k1 / 2))
            if 3 * len(own & candidate) >= 2 * len(candidate):
                expanded |= candidate
        encoding.append({g: math.exp(-original[p][g]) for g in expanded})
    averaged = []
    for p in range(count):
        near = ranking[p][:k2]
        names = {g for n in near for g in encoding[n]}
        averaged.append({g: sum(encoding[n].get(g, 0.0) for n in near) / len(near) for g in names})
    final = []
    for q in range(len(queries)):
        row = []
        for g in range(len(queries), count):
            names = averaged[q].keys() | averaged[g].keys()
            smaller = sum(min(averaged[q].get(n, 0.0), averaged[g].get(n, 0.0)) for n in names)
            larger = sum(max(averaged[q].get(n, 0.0), averaged[g].get(n, 0.0)) for n in names)
            row.append((1 - weight) * (1 - smaller / larger) + weight * original[q][g])
        final.append(row)
    return final
