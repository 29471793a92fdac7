"""Which point of a body a pixel shows: one pixel at a time, in plain floating-point numbers, from the solids and the view alone."""

import math


def to_picture(point, view):
    """Project a point (x right, y up, z forward, in metres) to x and y in the picture, in pixels."""
    sideways = point[0] * math.cos(view.yaw) + point[2] * math.sin(view.yaw)
    towards = point[2] * math.cos(view.yaw) - point[0] * math.sin(view.yaw)
    return (
        view.foot_x + view.scale * sideways,
        view.foot_y + view.scale * (towards * math.sin(view.pitch) - point[1] * math.cos(view.pitch)),
    )


def nearness(solid, view):
    x, _, z = (0.5 * (a + b) for a, b in zip(solid.start, solid.end, strict=True))
    return z * math.cos(view.yaw) - x * math.sin(view.yaw) + solid.layer


def on_axis(solid, view, metres):
    """Return the distance in the picture, in pixels from the axis's start, of a position in metres from it."""
    shown = math.dist(to_picture(solid.start, view), to_picture(solid.end, view))
    length = math.dist(solid.start, solid.end)
    if metres < 0:
        return metres * view.scale
    if metres > length:
        return shown + (metres - length) * view.scale
    return metres * shown / length


def point_of(solid, view, x, y):
    """Return (metres along the axis, angle, distance from the outline in pixels) of a pixel in a solid; None beside it."""
    (x0, y0), (x1, y1) = to_picture(solid.start, view), to_picture(solid.end, view)
    shown = math.dist((x0, y0), (x1, y1))
    right, down = ((x1 - x0) / shown, (y1 - y0) / shown) if shown > 1e-6 else (0.0, 1.0)
    position = (x - x0) * right + (y - y0) * down
    offset = (x - x0) * down - (y - y0) * right
    ends = [on_axis(solid, view, metres) for metres in solid.along]
    if not ends[0] < position < ends[-1]:
        return None
    ring = max(n for n in range(len(ends) - 1) if ends[n] <= position)
    share = (position - ends[ring]) / (ends[ring + 1] - ends[ring])

    def between(values):
        return values[ring] + share * (values[ring + 1] - values[ring])

    half = between(
        [
            view.scale * math.hypot(wide * math.cos(view.yaw), deep * math.sin(view.yaw))
            for wide, deep in zip(solid.wide, solid.deep, strict=True)
        ]
    )
    margin = min(half - abs(offset), position - ends[0], ends[-1] - position)
    if margin <= 0:
        return None
    angle = math.asin(offset / half) - view.yaw
    return between(list(solid.along)), math.remainder(angle, 2 * math.pi), margin


def seen_at(figure, view, x, y):
    """Return (part, metres along, angle) of the nearest solid of a figure at a pixel; None if there is none."""
    for solid in sorted(figure.solids, key=lambda each: nearness(each, view), reverse=True):
        if found := point_of(solid, view, x, y):
            return solid.part, *found[:2]
    return None
