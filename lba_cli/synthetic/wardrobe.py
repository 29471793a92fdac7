"""The surfaces of people: colours for visible light, and materials, which decide the brightness in near infrared."""

import colorsys
from dataclasses import dataclass

import numpy as np

from lba_cli.synthetic.textures import Pattern

Colour = tuple[float, float, float]

_CONTRAST_NEEDED = 0.34
_ACHROMATIC_SHARE = 0.42
# Probability that a pattern that is lighter than its ground in visible light is also lighter in infrared.
_POLARITY_KEPT = 0.8
_DARKEST, _BRIGHTEST = 0.04, 0.97


@dataclass(frozen=True)
class Surface:
    """The look of a surface: its ground and its pattern's second tone, in visible light and in near infrared.

    ``colour`` and ``accent`` are sRGB in [0, 1] and are used for visible images only; ``reflectance`` and
    ``accent_reflectance`` are grey levels in [0, 1] and are used for infrared images only. ``period`` is the
    size of the pattern in metres.
    """

    colour: Colour
    accent: Colour
    reflectance: float
    accent_reflectance: float
    pattern: Pattern = "plain"
    period: float = 0.14


@dataclass(frozen=True)
class Material:
    """A material in near infrared: the ranges of its reflectance, and of a pattern's contrast to the ground."""

    reflectance: tuple[float, float]
    contrast: tuple[float, float]


MATERIALS = {
    "cotton": Material((0.62, 0.92), (0.32, 0.50)),
    "wool": Material((0.45, 0.70), (0.26, 0.42)),
    "denim": Material((0.38, 0.62), (0.24, 0.34)),
    "polyester": Material((0.28, 0.85), (0.30, 0.50)),
    "nylon": Material((0.14, 0.40), (0.28, 0.46)),
    "pigmented synthetic": Material((0.06, 0.18), (0.30, 0.52)),
    "leather": Material((0.08, 0.26), (0.20, 0.34)),
}
CLOTH = ("cotton", "wool", "polyester", "nylon", "pigmented synthetic")
TROUSER_CLOTH = ("cotton", "denim", "polyester", "nylon", "pigmented synthetic")
BAG_CLOTH = ("leather", "nylon", "polyester", "pigmented synthetic", "cotton")

_SKIN_TONES: tuple[Colour, ...] = ((0.93, 0.78, 0.68), (0.86, 0.68, 0.55), (0.76, 0.57, 0.43), (0.52, 0.36, 0.26))
_HAIR_TONES: tuple[Colour, ...] = (
    (0.07, 0.06, 0.06),
    (0.10, 0.08, 0.07),
    (0.22, 0.14, 0.09),
    (0.40, 0.26, 0.14),
    (0.74, 0.58, 0.34),
    (0.62, 0.61, 0.60),
)


def skin(rng: np.random.Generator) -> Surface:
    """Return a random skin: one of several tones in visible light, always bright in near infrared."""
    tone = _SKIN_TONES[int(rng.integers(len(_SKIN_TONES)))]
    return _plain(tone, float(rng.uniform(0.66, 0.80)))


def hair(rng: np.random.Generator) -> Surface:
    """Return random hair: mostly dark in visible light, and of medium brightness in near infrared, whatever its colour."""
    tone = _HAIR_TONES[int(rng.integers(len(_HAIR_TONES)))]
    return _plain(tone, float(rng.uniform(0.24, 0.52)))


def cloth(
    rng: np.random.Generator, materials: tuple[str, ...], pattern: Pattern = "plain", period: float = 0.14
) -> Surface:
    """Return a random cloth of one of ``materials``, with a ``pattern`` of size ``period`` in metres."""
    colour, accent = _colour_pair(rng)
    material = MATERIALS[materials[int(rng.integers(len(materials)))]]
    lighter_accent = luminance(accent) > luminance(colour)
    reflectance, accent_reflectance = _reflectance_pair(rng, material, lighter_accent)
    return Surface(colour, accent, reflectance, accent_reflectance, pattern, period)


def luminance(colour: Colour) -> float:
    """Return the grey level of an sRGB ``colour`` (Rec. 601 weights)."""
    return 0.299 * colour[0] + 0.587 * colour[1] + 0.114 * colour[2]


def _plain(colour: Colour, reflectance: float) -> Surface:
    return Surface(colour, colour, reflectance, reflectance)


def _colour_pair(rng: np.random.Generator) -> tuple[Colour, Colour]:
    first = _colour(rng)
    for _ in range(24):
        second = _colour(rng)
        if abs(luminance(first) - luminance(second)) >= _CONTRAST_NEEDED:
            return first, second
    return first, (0.92, 0.92, 0.90) if luminance(first) < 0.5 else (0.08, 0.08, 0.10)


def _colour(rng: np.random.Generator) -> Colour:
    if rng.random() < _ACHROMATIC_SHARE:
        level = float(rng.choice((0.06, 0.12, 0.35, 0.55, 0.80, 0.93)))
        return level, level, min(1.0, level + 0.02)
    hue, saturation, value = rng.random(), rng.uniform(0.35, 0.85), rng.uniform(0.25, 0.9)
    return colorsys.hsv_to_rgb(float(hue), float(saturation), float(value))


def _reflectance_pair(rng: np.random.Generator, material: Material, lighter_accent: bool) -> tuple[float, float]:
    """Return the infrared reflectances of ground and accent. In most cases, the tone that is lighter in visible light is brighter."""
    ground = float(rng.uniform(*material.reflectance))
    contrast = float(rng.uniform(*material.contrast))
    brighter = lighter_accent if rng.random() < _POLARITY_KEPT else not lighter_accent
    if ground + contrast > _BRIGHTEST:
        brighter = False
    elif ground - contrast < _DARKEST:
        brighter = True
    return ground, ground + contrast if brighter else ground - contrast
