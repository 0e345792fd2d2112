"""The truth and what was made of it, side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from gifd_bench.benchmark.errors import BenchmarkError
from gifd_bench.benchmark.matrix.component import Component
from gifd_bench.benchmark.report.reconstructions import read_stages
from gifd_bench.benchmark.report.strips import Strip, StripFolder
from gifd_bench.benchmark.results.rows import Row
from gifd_bench.benchmark.results.run_folder import RunFolder
from gifd_bench.tasks.errors import TaskError


@dataclass(frozen=True)
class Picture:
    """An image with the lines of its caption; where there is none, the note says why."""

    title: str
    caption: tuple[str, ...] = ()
    status: str = "done"
    attack: str | None = None
    strip: Strip | None = None
    image: int = 0
    note: str = ""


@dataclass(frozen=True)
class StageStrip:
    """What one attack had found of a private image by the end of each of its stages, side by side.

    Attributes:
        stages: the name of each, and how good it was.
        note: what is to be known of that.
    """

    attack: str
    strip: Strip
    image: int
    stages: tuple[tuple[str, str], ...]
    note: str


@dataclass(frozen=True)
class Line:
    """One private image: the truth, then the answer of every attack; and of the attacks with several
    stages, the way there."""

    heading: str
    pictures: tuple[Picture, ...]
    stages: tuple[StageStrip, ...]


@dataclass(frozen=True)
class Section:
    """One task under one defense."""

    task: str
    defense: str
    lines: list[Line] = field(default_factory=list)

    @property
    def size(self) -> int:
        """How many private images."""
        return len(self.lines)


class Gallery:
    """Writes pictures beside a page.

    Args:
        run: whose.
        folder: where the pictures go; it exists.
        url: what the folder is called on the page.
    """

    def __init__(self, run: RunFolder, folder: Path, url: str) -> None:
        self._run, self._strips = run, StripFolder(folder, url)
        self._names: dict[str, tuple[str, ...]] = {}

    def sections(self, rows: Sequence[Row]) -> list[Section]:
        """Every observation that there is, by task and defense."""
        observations: dict[str, list[Row]] = {}
        for row in rows:
            observations.setdefault(row.cell.observation_id, []).append(row)
        found: dict[tuple[str, str], Section] = {}
        for group in observations.values():
            task, defense = group[0].task, group[0].defense
            lines = self._lines(group)
            if lines:
                found.setdefault((task, defense), Section(task, defense)).lines.extend(lines)
        return list(found.values())

    def _lines(self, rows: Sequence[Row]) -> list[Line]:
        """A line for every private image of one observation; none where no attack has ended well."""
        first = rows[0].cell
        if not any(row.status == "done" for row in rows):
            return []
        truth = self._run.truth(first)
        count = len(truth.labels)
        strip = self._strips.strip(
            f"truth-{first.observation_id}",
            count,
            1,
            self._run.observation(first),
            lambda: truth.images[:, None],
        )
        answers = [self._answers(row, count) for row in rows]
        stages = [self._stages(row, count) for row in rows if len(row.stages) > 1]
        names = self._class_names(first.task.dataset)
        heading = f"target {first.target}, seed {first.seed}"
        return [
            Line(
                heading if count == 1 else f"{heading}, image {k}",
                (
                    Picture("truth", (_class_name(names, label),), strip=strip, image=k),
                    *(pictures[k] for pictures in answers),
                ),
                tuple(strips[k] for strips in stages),
            )
            for k, label in enumerate(truth.labels.tolist())
        ]

    def _answers(self, row: Row, count: int) -> list[Picture]:
        """What one attack found, in the truth's order."""
        name = row.attack_name
        if row.status != "done":
            return [Picture(name, (), row.status, name, note=row.reason or "")] * count
        folder = self._run.cell(row.cell)
        order = list(row.assignment)
        strip = self._strips.strip(
            row.id, count, 1, folder.reconstruction, lambda: folder.images()[order, None]
        )
        return [
            Picture(name, _scores(row, k), row.status, name, strip, k, note=row.reason or "")
            for k in range(count)
        ]

    def _stages(self, row: Row, count: int) -> list[StageStrip]:
        """What one attack had found by the end of each stage, in the truth's order."""
        source, order = self._run.cell(row.cell).reconstruction, list(row.assignment)
        stages = row.stages
        strip = self._strips.strip(
            f"{row.id}-stages",
            count,
            len(stages),
            source,
            lambda: read_stages(source, len(stages))[order],
        )
        captions = tuple((stage.name, f"{stage.psnr:.2f} dB") for stage in stages)
        # Results keep no more of a stage.
        note = "" if count == 1 else "PSNR: mean over the batch"
        return [StageStrip(row.attack_name, strip, k, captions, note) for k in range(count)]

    def _class_names(self, dataset: Component) -> tuple[str, ...]:
        """The names of the classes; none where the data are not on this machine."""
        key = repr(dataset)
        if key not in self._names:
            try:
                self._names[key] = tuple(dataset.build().class_names)
            except (TaskError, BenchmarkError):
                self._names[key] = ()
        return self._names[key]


def _class_name(names: Sequence[str], label: int) -> str:
    return names[label] if label < len(names) else f"class {label}"


def _scores(row: Row, image: int) -> tuple[str, ...]:
    """The metrics of one image, those that there are."""
    shown = (
        ("psnr", "{:.2f} dB"),
        ("ssim", "SSIM {:.3f}"),
        ("lpips_alex", "LPIPS {:.3f}"),
    )
    found = ((form, row.per_image.get(metric)) for metric, form in shown)
    return tuple(form.format(values[image]) for form, values in found if values)
