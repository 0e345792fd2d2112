"""The truth and the reconstructions, side by side, by task and defense."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from gifd_bench.benchmark.report.naming import Names
from gifd_bench.benchmark.report.pictures import Picture, Pictures, StageStrip
from gifd_bench.benchmark.results.rows import Row

# About how many bytes a pixel takes within a page: three colors, little compressed, in base64.
BYTES_A_PIXEL = 4


@dataclass(frozen=True)
class GalleryLine:
    """One private image: the truth, then the answer of every attack.

    For attacks with several stages, it also has the result of each stage.
    """

    heading: str
    pictures: tuple[Picture, ...]
    stages: tuple[StageStrip, ...]


@dataclass(frozen=True)
class Section:
    """One task under one defense.

    Attributes:
        name: the name of the defense for people.
        observations: the rows of each observation for which an attack has ended with an answer.
    """

    task: str
    defense: str
    name: str
    observations: tuple[tuple[Row, ...], ...]

    @cached_property
    def size(self) -> int:
        """The number of private images."""
        return sum(max(row.images for row in rows) for rows in self.observations)


def bytes_inlined(section: Section, pictures: Pictures) -> int:
    """The approximate size of the pictures of a section within a page."""
    images = 0
    for rows in section.observations:
        done = [row for row in rows if row.status == "done"]
        shown = 1 + sum(1 + (len(row.stages) if len(row.stages) > 1 else 0) for row in done)
        images += max(row.images for row in rows) * shown
    return images * pictures.pixels(section.observations[0][0]) * BYTES_A_PIXEL


def sections_of(rows: Sequence[Row], names: Names) -> list[Section]:
    """Every observation that an attack has answered, by task and defense."""
    observations: dict[str, list[Row]] = {}
    for row in rows:
        observations.setdefault(row.cell.observation_id, []).append(row)
    found: dict[tuple[str, str], list[tuple[Row, ...]]] = {}
    for group in observations.values():
        if any(row.status == "done" for row in group):
            found.setdefault((group[0].task, group[0].defense), []).append(tuple(group))
    return [
        Section(task, defense, names.defense(defense), tuple(groups))
        for (task, defense), groups in found.items()
    ]


def lines_of(section: Section, pictures: Pictures, names: Names) -> Iterator[GalleryLine]:
    """A line for every private image of a section."""
    for rows in section.observations:
        first = rows[0]
        count = pictures.count(first)
        heading = f"target {first.target}, seed {first.seed}"
        for image in range(count):
            yield GalleryLine(
                heading if count == 1 else f"{heading}, image {image}",
                (
                    pictures.truth(first, image),
                    *(
                        pictures.answer(r, image, _scores(r, image), names.attack(r.attack_name))
                        for r in rows
                    ),
                ),
                tuple(
                    pictures.stages(row, image, names.attack(row.attack_name))
                    for row in rows
                    if len(row.stages) > 1
                ),
            )


def _scores(row: Row, image: int) -> tuple[str, ...]:
    """The available metrics of one image."""
    shown = (
        ("psnr", "{:.2f} dB"),
        ("ssim", "SSIM {:.3f}"),
        ("lpips_alex", "LPIPS {:.3f}"),
    )
    found = ((form, row.per_image.get(metric)) for metric, form in shown)
    return tuple(form.format(values[image]) for form, values in found if values)
