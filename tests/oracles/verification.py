"""Verification by sorting and counting: one threshold at a time."""


def rates(scores, same, threshold):
    """FAR and TAR at a threshold."""
    impostors = [score for score, is_same in zip(scores, same, strict=True) if not is_same]
    genuine = [score for score, is_same in zip(scores, same, strict=True) if is_same]
    return (
        sum(score >= threshold for score in impostors) / len(impostors),
        sum(score >= threshold for score in genuine) / len(genuine),
    )


def auc(scores, same):
    """Compare every genuine pair with every impostor."""
    genuine = [score for score, is_same in zip(scores, same, strict=True) if is_same]
    impostors = [score for score, is_same in zip(scores, same, strict=True) if not is_same]
    wins = sum((a > b) + 0.5 * (a == b) for a in genuine for b in impostors)
    return wins / (len(genuine) * len(impostors))


def tar_at_far(scores, same, far):
    """The largest TAR of all thresholds that aren't above the FAR, and the lowest such threshold."""
    best = (0.0, float("inf"))
    for threshold in sorted(set(scores), reverse=True):
        false, true = rates(scores, same, threshold)
        if false > far:
            break
        best = (true, threshold)
    return best


def eer(scores, same):
    """Walk along the ROC curve until FAR reaches 1 - TAR, and take the crossing of the two straight lines."""
    before = (0.0, 1.0)
    for threshold in sorted(set(scores), reverse=True):
        false, true = rates(scores, same, threshold)
        lost = 1 - true
        if false >= lost:
            gap, next_gap = before[1] - before[0], lost - false
            share = gap / (gap - next_gap)
            return before[0] + share * (false - before[0])
        before = (false, lost)
    raise AssertionError
