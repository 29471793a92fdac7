"""Synthetic people: the looks that all images of a person share. They depend only on the seed and the identity."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal, TypeVar

import numpy as np

from lba_cli.synthetic import wardrobe
from lba_cli.synthetic.textures import ALL_OVER, ON_THE_CHEST, Pattern
from lba_cli.synthetic.wardrobe import BAG_CLOTH, CLOTH, TROUSER_CLOTH, Surface

HairStyle = Literal["shaved", "short", "long", "ponytail", "bun", "full"]
HatKind = Literal["none", "cap", "beanie", "brimmed"]
UpperKind = Literal["T-shirt", "shirt", "jacket", "hooded", "coat", "dress"]
LowerKind = Literal["trousers", "shorts", "knee skirt", "long skirt"]
BagKind = Literal["none", "backpack", "shoulder bag", "handbag"]


@dataclass(frozen=True)
class Build:
    """A body, in metres. ``shoulders``, ``hips`` and ``depth`` are half-widths; ``legs`` is a share of ``stature``."""

    stature: float
    shoulders: float
    hips: float
    depth: float
    limb: float
    legs: float


@dataclass(frozen=True)
class Head:
    """The hair and the hat of a person."""

    style: HairStyle
    hair: Surface
    hat: HatKind
    hat_surface: Surface


@dataclass(frozen=True)
class Upper:
    """The upper garment. ``sleeves`` is a share of the arm, ``hem`` of the leg; ``loose`` is the gap to the body, in metres."""

    kind: UpperKind
    surface: Surface
    sleeve: Surface
    trim: Surface
    sleeves: float
    hem: float
    loose: float
    flare: float
    zipped: bool
    collar: bool


@dataclass(frozen=True)
class Lower:
    """The lower garment. ``hem`` is a share of the leg. ``loose``, the gap to the body, and ``flare``, at the hem, are in metres."""

    kind: LowerKind
    surface: Surface
    hem: float
    loose: float
    flare: float


@dataclass(frozen=True)
class Bag:
    """A bag. ``side`` is -1 or 1, and ``size`` is a factor of its usual size."""

    kind: BagKind
    surface: Surface
    side: int
    size: float


@dataclass(frozen=True)
class Person:
    """The looks of one identity."""

    build: Build
    skin: Surface
    head: Head
    upper: Upper
    lower: Lower
    shoes: Surface
    boots: bool
    bag: Bag


_Kind = TypeVar("_Kind")

_HAIR_STYLES: dict[HairStyle, float] = {
    "shaved": 0.08,
    "short": 0.36,
    "long": 0.22,
    "ponytail": 0.12,
    "bun": 0.10,
    "full": 0.12,
}
_HATS: dict[HatKind, float] = {"none": 0.62, "cap": 0.14, "beanie": 0.12, "brimmed": 0.12}
_UPPERS: dict[UpperKind, float] = {
    "T-shirt": 0.30,
    "shirt": 0.18,
    "jacket": 0.16,
    "hooded": 0.12,
    "coat": 0.12,
    "dress": 0.12,
}
_LOWERS: dict[LowerKind, float] = {"trousers": 0.50, "shorts": 0.20, "knee skirt": 0.18, "long skirt": 0.12}
_BAGS: dict[BagKind, float] = {"none": 0.28, "backpack": 0.30, "shoulder bag": 0.22, "handbag": 0.20}
_HEMS: dict[LowerKind, tuple[float, float]] = {
    "trousers": (0.97, 1.0),
    "shorts": (0.34, 0.50),
    "knee skirt": (0.38, 0.56),
    "long skirt": (0.78, 0.92),
}


def draw_person(seed: int, identity: int) -> Person:
    """Return a person at random, who depends only on ``seed`` and ``identity``. Neither number may be negative."""
    rng = np.random.default_rng((seed, identity))
    upper = _upper(rng)
    return Person(
        build=_build(rng),
        skin=wardrobe.skin(rng),
        head=_head(rng),
        upper=upper,
        lower=_under_a_dress(rng) if upper.kind == "dress" else _lower(rng),
        shoes=wardrobe.cloth(rng, ("leather", "nylon", "cotton", "polyester")),
        boots=bool(rng.random() < 0.2),
        bag=_bag(rng),
    )


def _pick(rng: np.random.Generator, shares: Mapping[_Kind, float]) -> _Kind:
    weights = np.array(list(shares.values()))
    return list(shares)[int(rng.choice(len(shares), p=weights / weights.sum()))]


def _between(rng: np.random.Generator, low: float, high: float) -> float:
    return float(rng.uniform(low, high))


def _build(rng: np.random.Generator) -> Build:
    stature, weight = _between(rng, 1.52, 1.92), _between(rng, 0.84, 1.30)
    return Build(
        stature=stature,
        shoulders=stature * 0.112 * _between(rng, 0.9, 1.12) * weight**0.5,
        hips=stature * 0.092 * _between(rng, 0.9, 1.12) * weight**0.8,
        depth=stature * 0.064 * weight**1.2,
        limb=weight**0.9,
        legs=_between(rng, 0.455, 0.515),
    )


def _head(rng: np.random.Generator) -> Head:
    return Head(_pick(rng, _HAIR_STYLES), wardrobe.hair(rng), _pick(rng, _HATS), wardrobe.cloth(rng, CLOTH))


def _upper(rng: np.random.Generator) -> Upper:
    kind = _pick(rng, _UPPERS)
    surface = wardrobe.cloth(rng, CLOTH, _upper_pattern(rng), _between(rng, 0.10, 0.22))
    sleeves = {"T-shirt": _between(rng, 0.22, 0.5), "dress": _between(rng, 0.0, 0.55)}.get(kind, 1.0)
    hem = {"coat": _between(rng, 0.36, 0.72), "dress": _between(rng, 0.42, 0.85)}.get(kind, _between(rng, -0.06, 0.14))
    return Upper(
        kind=kind,
        surface=surface,
        sleeve=_sleeve(rng, surface),
        trim=wardrobe.cloth(rng, CLOTH),
        sleeves=sleeves,
        hem=hem,
        loose={"T-shirt": 0.012, "shirt": 0.012, "dress": 0.008}.get(kind, 0.028) + _between(rng, 0.0, 0.012),
        flare={"coat": _between(rng, 0.02, 0.08), "dress": _between(rng, 0.03, 0.14)}.get(kind, 0.0),
        zipped=kind in ("jacket", "hooded", "coat") and rng.random() < 0.6,
        collar=kind in ("shirt", "jacket", "coat") and rng.random() < 0.6,
    )


def _upper_pattern(rng: np.random.Generator) -> Pattern:
    draw = rng.random()
    if draw < 0.14:
        return "plain"
    choices = ALL_OVER if draw < 0.66 else ON_THE_CHEST
    return choices[int(rng.integers(len(choices)))]


def _sleeve(rng: np.random.Generator, body: Surface) -> Surface:
    """Return the sleeves' surface: usually that of the garment if its pattern covers it all, otherwise plain in one of its tones."""
    if body.pattern in ALL_OVER and rng.random() < 0.8:
        return body
    if rng.random() < 0.45:
        return replace(
            body,
            pattern="plain",
            colour=body.accent,
            accent=body.colour,
            reflectance=body.accent_reflectance,
            accent_reflectance=body.reflectance,
        )
    return replace(body, pattern="plain")


def _lower(rng: np.random.Generator) -> Lower:
    kind = _pick(rng, _LOWERS)
    legs = kind in ("trousers", "shorts")
    patterns: tuple[Pattern, ...] = ("side panels", "checks", "stripes", "shins", "hem band") if legs else ALL_OVER
    patterned = rng.random() < (0.55 if legs else 0.70)
    pattern: Pattern = patterns[int(rng.integers(len(patterns)))] if patterned else "plain"
    return Lower(
        kind=kind,
        surface=wardrobe.cloth(rng, TROUSER_CLOTH, pattern, _between(rng, 0.10, 0.20)),
        hem=_between(rng, *_HEMS[kind]),
        loose=_between(rng, 0.004, 0.04),
        flare=_between(rng, -0.01, 0.05) if legs else _between(rng, 0.0, 0.16),
    )


def _under_a_dress(rng: np.random.Generator) -> Lower:
    """Return leggings, or shorts that are so short that the legs are bare."""
    hem = 1.0 if rng.random() < 0.4 else 0.05
    return Lower("trousers" if hem == 1.0 else "shorts", wardrobe.cloth(rng, TROUSER_CLOTH), hem, 0.003, 0.0)


def _bag(rng: np.random.Generator) -> Bag:
    surface = wardrobe.cloth(rng, BAG_CLOTH, "hoops" if rng.random() < 0.3 else "plain", 0.2)
    return Bag(_pick(rng, _BAGS), surface, int(rng.choice((-1, 1))), _between(rng, 0.85, 1.25))
