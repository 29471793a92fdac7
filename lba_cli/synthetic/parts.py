"""The parts of a person: the names of the solids that a body, its clothes and its bag are built from."""

_PAIRED = (
    *("thigh", "shin", "shoe", "boot", "upper trouser leg", "lower trouser leg"),
    *("upper arm", "forearm", "upper sleeve", "lower sleeve", "strap"),
)
# A part's number in a truth map is its position here, counted from 1.
PARTS = (
    *(f"{side} {part}" for part in _PAIRED for side in ("right", "left")),
    *("hips", "skirt", "trunk", "collar", "zip", "hood"),
    *("neck", "head", "hair on top", "hair behind", "long hair", "ponytail", "bun", "hat", "peak", "brim"),
    *("backpack", "shoulder bag", "handbag", "strap in front", "strap behind"),
)
