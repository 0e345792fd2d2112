"""The first screen of a report: the findings in a few sentences, and images that show them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gifd_bench.benchmark.report.finding import PSNR, Finding, Setting, finding_of, mean_psnr
from gifd_bench.benchmark.report.naming import Names
from gifd_bench.benchmark.report.pictures import Picture, Pictures
from gifd_bench.benchmark.report.summary import Summary
from gifd_bench.benchmark.results.rows import Row
from gifd_bench.benchmark.scoring.registry import IDENTIFIED

# Attacks beside each other, the best first: more would not fit on a first screen.
MOST_ATTACKS = 4


@dataclass(frozen=True)
class Answers:
    """The answers of the attacks for one private image under one setting.

    Attributes:
        setting: its name for people.
        pictures: the picture of each attack; `None` if it has no answer.
    """

    setting: str
    pictures: tuple[Picture | None, ...]


@dataclass(frozen=True)
class ShownImage:
    """One private image that is shown on the first screen.

    Attributes:
        heading: why it is shown, and which image it is.
        truth: the image itself.
        answers: the answers by setting, from the setting that leaks most on.
    """

    heading: str
    truth: Picture
    answers: tuple[Answers, ...]


@dataclass(frozen=True)
class Opening:
    """The opening for one task.

    Attributes:
        task: its label.
        finding: the sentences.
        attacks: names, in the order of every line of pictures.
        subjects: three private images, or as many as there are.
    """

    task: str
    finding: Finding
    attacks: tuple[str, ...]
    subjects: tuple[ShownImage, ...]


def opening_of(summaries: Sequence[Summary], names: Names, pictures: Pictures) -> Opening | None:
    """The opening for the task with the most cells that are done; `None` if no cell has scores.

    Args:
        summaries: the summaries of the whole run.
        names: the names of its defenses and attacks.
        pictures: the pictures of its images.
    """
    tasks: dict[str, list[Summary]] = {}
    for summary in summaries:
        tasks.setdefault(summary.group.task, []).append(summary)
    fullest = max(tasks.values(), key=lambda of_task: sum(len(s.group.done) for s in of_task), default=[])
    finding = finding_of(fullest, names)
    if finding is None:
        return None
    shown = shown_attacks(finding.opened)
    subjects = tuple(
        ShownImage(
            f"{why}: {pictures.class_name(row, image)} (target {row.target}"
            + (f", image {image})" if row.images > 1 else ")"),
            pictures.truth(row, image),
            tuple(_answers(setting, shown, row, image, pictures, names) for setting in finding.settings),
        )
        for why, row, image in telling_images(finding.opened.best)
    )
    return Opening(finding.task, finding, tuple(names.attack(attack) for attack in shown), subjects)


def shown_attacks(setting: Setting) -> list[str]:
    """The best attacks under a setting, the best one first."""
    best = sorted(setting.summaries, key=mean_psnr, reverse=True)[:MOST_ATTACKS]
    return [summary.group.attack for summary in best]


def row_of(setting: Setting, attack: str, like: Row) -> Row | None:
    """The cell of an attack under a setting, on the same target and with the same seed.

    It is `None` if the attack has no answer.
    """
    rows = (row for s in setting.summaries if s.group.attack == attack for row in s.group.done)
    return next((row for row in rows if (row.target, row.seed) == (like.target, like.seed)), None)


def telling_images(best: Summary) -> list[tuple[str, Row, int]]:
    """The private images that the best attack read best, worst and in between.

    They show the whole range, and not the most striking images.
    """
    scored = sorted(
        (
            (value, row, image)
            for row in best.group.done
            for image, value in enumerate(row.per_image.get(PSNR) or ())
        ),
        key=lambda found: found[0],
        reverse=True,
    )
    # Of an image under several seeds, the median one of its scores.
    by_image: dict[tuple[int, int], list[tuple[Row, int]]] = {}
    for _, row, image in scored:
        by_image.setdefault((row.target, image), []).append((row, image))
    images = [found[len(found) // 2] for found in by_image.values()]
    # If two names have the same place, the first holds: of two images, one is the best and one the worst.
    places = {"read best": 0, "read worst": len(images) - 1, "in between": len(images) // 2}
    chosen = {place: why for why, place in reversed(list(places.items()))}
    return [(why, *images[place]) for place, why in sorted(chosen.items()) if images]


def _answers(
    setting: Setting, attacks: Sequence[str], like: Row, image: int, pictures: Pictures, names: Names
) -> Answers:
    found: list[Picture | None] = []
    for attack in attacks:
        row = row_of(setting, attack, like)
        if row is None:
            found.append(None)
        else:
            found.append(pictures.answer(row, image, caption(row, image), names.attack(attack)))
    return Answers(setting.name, tuple(found))


def caption(row: Row, image: int) -> tuple[str, ...]:
    """The quality of one reconstruction, in a few letters."""
    psnr, identified = (row.per_image.get(metric) for metric in (PSNR, IDENTIFIED))
    texts = [f"{psnr[image]:.1f} dB"] if psnr else []
    if identified:
        texts.append("identified" if identified[image] else "not identified")
    return tuple(texts)
