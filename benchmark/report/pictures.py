"""The truth and the reconstructions as pictures of a page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from gifd_bench.benchmark.errors import BenchmarkError
from gifd_bench.benchmark.matrix.component import Component
from gifd_bench.benchmark.report.reconstructions import read_stages
from gifd_bench.benchmark.report.strips import Images, Strip, Strips
from gifd_bench.benchmark.results.rows import Row
from gifd_bench.benchmark.results.run_folder import RunFolder
from gifd_bench.tasks.errors import TaskError
from gifd_bench.tasks.truth import Truth


@dataclass(frozen=True)
class Picture:
    """An image with the lines of its caption; without an image, the note says why."""

    title: str
    caption: tuple[str, ...] = ()
    status: str = "done"
    attack: str | None = None
    strip: Strip | None = None
    image: int = 0
    note: str = ""

    @cached_property
    def source(self) -> str:
        """The address of the image."""
        return self.strip.source(self.image) if self.strip else ""

    @cached_property
    def style(self) -> str:
        """The CSS that shows it."""
        return self.strip.style(self.image) if self.strip else ""


@dataclass(frozen=True)
class StageStrip:
    """What one attack had found of a private image by the end of each of its stages, side by side.

    Attributes:
        attack: what filters go by.
        name: what people call the attack.
        stages: the name of each, and how good it was.
        note: what is to be known of that.
    """

    attack: str
    name: str
    strip: Strip
    image: int
    stages: tuple[tuple[str, str], ...]
    note: str


class Pictures:
    """The pictures of a run. Each is made once.

    Args:
        run: the run folder.
        strips: where they go.
    """

    def __init__(self, run: RunFolder, strips: Strips) -> None:
        self._run, self._strips = run, strips
        self._names: dict[str, tuple[str, ...]] = {}
        self._made: dict[str, Strip] = {}
        self._latest: tuple[str, Truth] | None = None

    def count(self, row: Row) -> int:
        """The number of private images in the observation of a cell."""
        return len(self._batch(row).labels)

    def pixels(self, row: Row) -> int:
        """The number of pixels of one of its private images."""
        height, width = self._batch(row).images.shape[-2:]
        return int(height * width)

    def class_name(self, row: Row, image: int) -> str:
        """The class of a private image."""
        label = int(self._batch(row).labels[image])
        names = self._class_names(row.cell.task.dataset)
        return names[label] if label < len(names) else f"class {label}"

    def truth(self, row: Row, image: int) -> Picture:
        """A private image."""
        strip = self._strip(
            f"truth-{row.cell.observation_id}",
            (self.count(row), 1),
            self._run.observation(row.cell),
            lambda: self._batch(row).images[:, None],
        )
        return Picture("truth", (self.class_name(row, image),), strip=strip, image=image)

    def answer(self, row: Row, image: int, caption: Sequence[str], name: str) -> Picture:
        """The reconstruction of a private image by one attack.

        Args:
            row: the row of a cell with any status.
            image: position in the truth's batch.
            caption: the quality of the reconstruction.
            name: the name of the attack for people.
        """
        if row.status != "done":
            return Picture(name, (), row.status, row.attack_name, note=row.reason or "")
        folder, order = self._run.cell(row.cell), list(row.assignment)
        strip = self._strip(
            row.id, (len(order), 1), folder.reconstruction, lambda: folder.images()[order, None]
        )
        return Picture(name, tuple(caption), row.status, row.attack_name, strip, image, row.reason or "")

    def stages(self, row: Row, image: int, name: str) -> StageStrip:
        """What one attack had found at the end of each stage, in the truth's order."""
        source, order = self._run.cell(row.cell).reconstruction, list(row.assignment)
        count = len(row.stages)
        strip = self._strip(
            f"{row.id}-stages", (len(order), count), source, lambda: read_stages(source, count)[order]
        )
        captions = tuple((stage.name, f"{stage.psnr:.2f} dB") for stage in row.stages)
        # Results keep nothing more of a stage.
        note = "" if len(order) == 1 else "PSNR: mean over the batch"
        return StageStrip(row.attack_name, name, strip, image, captions, note)

    def _strip(self, name: str, shape: tuple[int, int], source: Path, images: Images) -> Strip:
        if name not in self._made:
            self._made[name] = self._strips.strip(name, *shape, source, images)
        return self._made[name]

    def _batch(self, row: Row) -> Truth:
        observation = row.cell.observation_id
        if self._latest is None or self._latest[0] != observation:
            self._latest = observation, self._run.truth(row.cell)
        return self._latest[1]

    def _class_names(self, dataset: Component) -> tuple[str, ...]:
        """The names of the classes; none if the data are not on this machine."""
        key = dataset.canonical
        if key not in self._names:
            try:
                self._names[key] = tuple(dataset.build().class_names)
            except (TaskError, BenchmarkError):
                self._names[key] = ()
        return self._names[key]
