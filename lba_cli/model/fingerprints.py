"""Names for models whose vectors can be compared: by the network's weights, and by the arithmetic that computes them."""

import hashlib


def model_fingerprint(network: str, precision: str, calibration: str = "") -> str:
    """Return the fingerprint of a model; vectors from models with the same fingerprint can be compared.

    In float32 it is ``network``, the network's own fingerprint. Half precision and int8 have others, because their vectors differ.
    Those of int8 also depend on the images of the ``calibration``, which is named by its digest.
    """
    if precision == "float32":
        return network
    return hashlib.sha256(" ".join(filter(None, (network, precision, calibration))).encode()).hexdigest()
