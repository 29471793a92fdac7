"""Dress a posed skeleton: build the solids of body, clothes and bag, in no particular order."""

from collections.abc import Iterator

import numpy as np

from lba_cli.synthetic.body import SIDE_NAMES, SIDES, Point, Skeleton, Solid, limb, loft, sleeve
from lba_cli.synthetic.headwear import head
from lba_cli.synthetic.luggage import luggage
from lba_cli.synthetic.people import Person

# Metres added to a solid's nearness to the camera, so that clothes hide what they cover.
LEG, TROUSERS, SHOE, PELVIS, SKIRT, UPPER, ARM, TRIM = 0.0, 0.01, 0.02, 0.06, 0.30, 0.36, 0.38, 0.365

_DOWN = np.array([0.0, -1.0, 0.0])


def dress(person: Person, bones: Skeleton) -> list[Solid]:
    """Return all solids of ``person`` in the pose of ``bones``."""
    return [
        *_legs(person, bones),
        *_lower(person, bones),
        *_upper(person, bones),
        *_arms(person, bones),
        *head(person, bones),
        *luggage(person, bones),
    ]


def _legs(person: Person, bones: Skeleton) -> Iterator[Solid]:
    build = person.build
    thick = build.stature * build.limb
    for side in SIDES:
        name, hip, knee, ankle = SIDE_NAMES[side], bones.hip[side], bones.knee[side], bones.ankle[side]
        yield limb(f"{name} thigh", hip, knee, (0.046 * thick, 0.031 * thick), person.skin, LEG)
        yield limb(f"{name} shin", knee, ankle, (0.031 * thick, 0.020 * thick), person.skin, LEG)
        toe = ankle + np.array([side * 0.02, -0.028, 0.16]) * build.stature / 1.7
        heel = ankle + np.array([0.0, -0.028, -0.045]) * build.stature / 1.7
        yield limb(f"{name} shoe", heel, toe, (0.047, 0.040), person.shoes, SHOE)
        if person.boots:
            top = ankle + 0.55 * (knee - ankle)
            yield sleeve(f"{name} boot", ankle, top, (0.05, 0.030 * thick + 0.022), person.shoes, SHOE)


def _lower(person: Person, bones: Skeleton) -> Iterator[Solid]:
    lower, build = person.lower, person.build
    yield _pelvis(person, bones)
    if lower.kind in ("trousers", "shorts"):
        yield from _trouser_legs(person, bones)
        return
    length = lower.hem * build.legs * build.stature * 0.93
    spread = _spread(bones, lower.hem)
    air = lower.loose
    hip = build.hips + air
    rings = [
        (-0.10 * build.stature, 0.86 * hip, build.depth + air),
        (0.0, hip, 1.05 * build.depth + air),
        (length, max(hip + lower.flare, spread[0] + 0.07), max(build.depth + lower.flare + air, spread[1] + 0.07)),
    ]
    start = np.array([0.0, bones.hip_height, 0.0])
    end = start + length * _DOWN + _drift(bones, lower.hem)
    yield loft("skirt", start, end, rings, lower.surface, SKIRT, 0.1)


def _pelvis(person: Person, bones: Skeleton) -> Solid:
    build = person.build
    rings = [
        (0.0, 0.84 * build.hips, 0.9 * build.depth),
        (0.10 * build.stature, build.hips + 0.008, build.depth + 0.008),
        (0.15 * build.stature, 0.8 * build.hips, 0.85 * build.depth),
    ]
    return loft("hips", bones.waist, bones.waist + 0.2 * _DOWN, rings, person.lower.surface, PELVIS, -0.1)


def _trouser_legs(person: Person, bones: Skeleton) -> Iterator[Solid]:
    lower, build = person.lower, person.build
    thick, air = build.stature * build.limb, lower.loose
    for side in SIDES:
        name, hip, knee, ankle = SIDE_NAMES[side], bones.hip[side], bones.knee[side], bones.ankle[side]
        top, bend = 0.047 * thick + 0.4 * air, 0.032 * thick + 0.8 * air
        if lower.hem <= 0.5:
            end = hip + 2 * lower.hem * (knee - hip)
            yield sleeve(
                f"{name} upper trouser leg", hip, end, (top, bend + max(0.0, lower.flare)), lower.surface, TROUSERS
            )
            continue
        yield limb(f"{name} upper trouser leg", hip, knee, (top, bend), lower.surface, TROUSERS)
        end = knee + (2 * lower.hem - 1) * (ankle - knee)
        opening = 0.022 * thick + air + lower.flare
        down = float(np.linalg.norm(knee - hip))
        yield sleeve(f"{name} lower trouser leg", knee, end, (bend, opening), lower.surface, TROUSERS, down)


def _upper(person: Person, bones: Skeleton) -> Iterator[Solid]:
    upper, build = person.upper, person.build
    axis = np.array([0.0, bones.hip_height, 0.0]) - bones.neck
    length = float(np.linalg.norm(axis))
    hem = length + upper.hem * build.legs * build.stature * 0.93
    yield loft("trunk", bones.neck, bones.neck + axis, _trunk_rings(person, bones, length, hem), upper.surface, UPPER)
    yield from _trimmings(person, bones, hem)


def _trunk_rings(person: Person, bones: Skeleton, length: float, hem: float) -> list[tuple[float, float, float]]:
    upper, build = person.upper, person.build
    air, broad, deep = upper.loose, build.shoulders, build.depth
    rings = [
        (-0.012 * build.stature, 0.034 * build.stature, 0.034 * build.stature),
        (0.012 * build.stature, 0.62 * broad, 0.6 * deep),
        (0.035 * build.stature, 0.97 * broad + 0.4 * air, 0.85 * deep + air),
        (0.30 * length, 0.98 * broad + air, deep + air),
        (0.68 * length, 0.84 * max(broad * 0.9, build.hips) + air, 0.92 * deep + air),
        (0.98 * length, build.hips + air + 0.01, 1.04 * deep + air),
    ]
    if hem <= rings[-1][0] + 0.02:
        return [ring for ring in rings if ring[0] < hem - 0.02] + [(hem, rings[-1][1], rings[-1][2])]
    spread = _spread(bones, upper.hem) if upper.hem > 0.3 else (0.0, 0.0)
    wide = max(build.hips + air + upper.flare, spread[0] + 0.07)
    return [*rings, (hem, wide, max(1.05 * deep + air + upper.flare, spread[1] + 0.07))]


def _trimmings(person: Person, bones: Skeleton, hem: float) -> Iterator[Solid]:
    upper, build, yaw = person.upper, person.build, bones.pose.yaw
    front = np.array([0.0, 0.0, build.depth + upper.loose])
    if upper.collar:
        rings = [(-0.05, 0.060, 0.062), (0.035, 0.092, 0.085)]
        yield loft("collar", bones.neck, bones.neck + 0.05 * _DOWN, rings, upper.trim, 0.47)
    if upper.zipped and np.cos(yaw) > 0.25:
        start = bones.neck + front
        rings = [(0.03, 0.020, 0.004), (hem - 0.01, 0.020, 0.004)]
        yield loft("zip", start, start + _DOWN, rings, upper.trim, TRIM - float(front[2] * np.cos(yaw)))
    if upper.kind == "hooded":
        back = bones.neck + np.array([0.0, 0.035, -0.055])
        rings = [(-0.06, 0.09, 0.05), (0.0, 0.13, 0.075), (0.07, 0.135, 0.07), (0.14, 0.05, 0.02)]
        yield loft("hood", back, back + 0.1 * _DOWN, rings, upper.sleeve, 0.44)


def _arms(person: Person, bones: Skeleton) -> Iterator[Solid]:
    upper, build = person.upper, person.build
    thick, air = build.stature * build.limb, 0.7 * upper.loose + 0.004
    for side in SIDES:
        name, shoulder, elbow, wrist = SIDE_NAMES[side], bones.shoulder[side], bones.elbow[side], bones.wrist[side]
        hand = wrist + 0.25 * (wrist - elbow)
        yield limb(f"{name} upper arm", shoulder, elbow, (0.028 * thick, 0.021 * thick), person.skin, ARM)
        yield limb(f"{name} forearm", elbow, hand, (0.021 * thick, 0.019 * thick), person.skin, ARM)
        if upper.sleeves <= 0.05:
            continue
        radii = (0.028 * thick + 0.7 * air, 0.023 * thick + air)
        if upper.sleeves <= 0.5:
            end = shoulder + 2 * upper.sleeves * (elbow - shoulder)
            yield sleeve(f"{name} upper sleeve", shoulder, end, (radii[0], radii[1] + 0.012), upper.sleeve, ARM + 0.01)
            continue
        yield limb(f"{name} upper sleeve", shoulder, elbow, radii, upper.sleeve, ARM + 0.01)
        end = elbow + (2 * upper.sleeves - 1) * (wrist - elbow)
        down = float(np.linalg.norm(elbow - shoulder))
        yield sleeve(
            f"{name} lower sleeve", elbow, end, (radii[1], 0.021 * thick + air), upper.sleeve, ARM + 0.01, down
        )


def _spread(bones: Skeleton, hem: float) -> tuple[float, float]:
    """Return half the distance between the legs at ``hem`` (a share of the leg), sideways and forward, in metres."""
    left, right = (_leg_at(bones, side, hem) for side in SIDES)
    half = np.abs(left - right) / 2
    return float(half[0]), float(half[2])


def _drift(bones: Skeleton, hem: float) -> Point:
    """Return the vector by which the middle of the legs at ``hem`` is in front of the hips, in metres."""
    left, right = (_leg_at(bones, side, hem) for side in SIDES)
    return np.array([0.0, 0.0, float(left[2] + right[2]) / 2])


def _leg_at(bones: Skeleton, side: int, share: float) -> Point:
    if share <= 0.5:
        return bones.hip[side] + 2 * share * (bones.knee[side] - bones.hip[side])
    return bones.knee[side] + (2 * share - 1) * (bones.ankle[side] - bones.knee[side])
