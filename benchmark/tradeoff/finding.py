"""The trade-off in one sentence."""

from __future__ import annotations

from collections.abc import Sequence

from gifd_bench.benchmark.tradeoff.points import Point


def hides(point: Point, most: float) -> bool:
    """Whether no attack identified more than a share of the private images.

    Args:
        point: a setting.
        most: the share, 0 to 1.
    """
    return bool(point.leaks) and all(leak.identified.mean <= most for leak in point.leaks)


def cheapest(points: Sequence[Point], most: float) -> Point | None:
    """The setting with the highest accuracy under which no attack identified more than a share."""
    able = [point for point in points if hides(point, most) and point.accuracy is not None]
    return max(able, key=lambda point: point.accuracy.mean if point.accuracy else 0.0, default=None)


def sentence(points: Sequence[Point], most: float) -> str:
    """What a defender learns from the points of one task, in one sentence, and on which attacks it rests.

    Args:
        points: the points of one task.
        most: the share of the private images that may be identified, 0 to 1.
    """
    attacks = sorted({leak.attack for point in points for leak in point.leaks})
    rests = (
        f"this rests on {_listed(attacks)} with the settings of this matrix; a stronger attack, or more "
        "compute, may read more"
    )
    best = cheapest(points, most)
    if best is None or best.accuracy is None or best.best is None:
        return (
            "No setting whose accuracy is known kept every attack from identifying more than "
            f"{most:.0%} of the images; {rests}."
        )
    plain = next((point.accuracy for point in points if point.undefended and point.accuracy), None)
    if plain is None:
        price = f"at an accuracy of {best.accuracy.mean:.1%}"
    else:
        lost = 100 * (plain.mean - best.accuracy.mean)
        price = (
            f"at a loss of {lost:.1f} points of accuracy" if lost > 0 else "without a loss of accuracy"
        ) + f" ({best.accuracy.mean:.1%} instead of {plain.mean:.1%})"
    found = best.best.identified
    high = "" if found.high is None else f"; the interval reaches to {found.high:.0%}"
    named = best.kind if not best.strength else f"{best.kind} ({best.strength})"
    return (
        f"The cheapest setting under which no attack identified more than {most:.0%} of the images is "
        f"{named}, {price}: the best attack, {best.best.attack}, identified {found.mean:.0%} of "
        f"{best.best.images} images{high}; {rests}."
    )


def _listed(names: Sequence[str]) -> str:
    """Names as a phrase: `a, b and c`."""
    return " and ".join(", ".join(names).rsplit(", ", 1)) if names else "no attack"
