"""What a matrix needs before its first cell can run: images, weights, a GPU. Nothing is downloaded here."""

from __future__ import annotations

import ctypes
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from gifd_bench.benchmark.matrix.cell import Cell
from gifd_bench.benchmark.matrix.component import Component
from gifd_bench.benchmark.matrix.config import Matrix
from gifd_bench.benchmark.matrix.task import TaskConfig, training_split
from gifd_bench.benchmark.matrix.unmet import unmet
from gifd_bench.common.errors import FileError
from gifd_bench.common.files import check_tensors
from gifd_bench.priors.registry import PRIORS
from gifd_bench.tasks.datasets.base import Dataset
from gifd_bench.tasks.datasets.root import data_root
from gifd_bench.tasks.errors import TaskError
from gifd_bench.tasks.models.pretrained import is_at_hand
from gifd_bench.tasks.models.spec import ModelSpec
from gifd_bench.tasks.selection import Batches
from gifd_bench.tasks.training.cache import victim_file


@dataclass(frozen=True)
class Need:
    """Something that is not on this machine.

    Attributes:
        text: what it is, and what to do about it, in one line.
        fetched: whether it is downloaded when it is first used, as the matrix asks; it is then not missing.
        damaged: whether it exists but cannot be read. The cells that need it will fail, and no others.
    """

    text: str
    fetched: bool = False
    damaged: bool = False


def missing(
    matrix: Matrix,
    cells: Iterable[Cell] | None = None,
    observed: Collection[str] = frozenset(),
    threads: int = 1,
) -> list[str]:
    """What somebody has to provide before the first cell runs, in lines; arguments as in `needs`."""
    found = needs(matrix, cells, observed, threads)
    return [need.text for need in found if not need.fetched and not need.damaged]


def needs(
    matrix: Matrix,
    cells: Iterable[Cell] | None = None,
    observed: Collection[str] = frozenset(),
    threads: int = 1,
    opened: bool = False,
) -> list[Need]:
    """Everything that is not on this machine and that some cell needs, each once.

    Images are listed but not read, unless they are to be opened. (The archive of CIFAR is one file, and is
    read.)

    Args:
        matrix: the matrix.
        cells: the cells that are still to run; `None` for all. Without any, nothing is needed.
        observed: ids of existing observations; their cells need no images and no victim.
        threads: threads with which victims are trained.
        opened: whether to read every private image of these cells, and the files of the victims' weights,
            to find damaged ones. Images on which a victim is trained are only listed.
    """
    waiting = [cell for cell in (matrix.cells() if cells is None else cells) if unmet(cell) is None]
    rounds: dict[str, list[Cell]] = defaultdict(list)
    for cell in waiting:
        if cell.observation_id not in observed:
            rounds[cell.task.canonical].append(cell)
    found = [
        need
        for cells_of in rounds.values()
        for need in _of_task(cells_of[0].task, cells_of, threads, opened)
    ]
    priors = {cell.prior.canonical: cell.prior for cell in waiting if cell.prior}
    found += [need for prior in priors.values() for need in _of_prior(prior)]
    if matrix.needs_gpu and waiting and not has_gpu():
        found.append(
            Need("a GPU: this matrix is made for one; --needs_gpu=false runs it on the CPU nevertheless")
        )
    # Tasks may share a dataset, and weights a file.
    return list(dict.fromkeys(found))


def has_gpu() -> bool:
    """Whether there is a GPU for torch, asked of the driver, because importing torch takes seconds."""
    try:
        driver = ctypes.CDLL("libcuda.so.1")
        count = ctypes.c_int(0)
        return (
            driver.cuInit(0) == 0 and driver.cuDeviceGetCount(ctypes.byref(count)) == 0 and count.value > 0
        )
    except OSError:
        return Path("/dev/kfd").exists()  # AMD's, which torch calls cuda too.


def offline(component: Component) -> Component:
    """The same component, which downloads nothing when it is built."""
    if "download" not in component.options:
        return component
    return replace(component, options={**component.options, "download": False})


def _of_task(task: TaskConfig, cells: Sequence[Cell], threads: int, opened: bool) -> Iterator[Need]:
    dataset = None
    try:
        dataset = _build(task.dataset)
    except TaskError as error:
        yield _missing_images(task.dataset, error)
    if dataset is not None:
        try:
            batches = task.settings.selection.batches(dataset.labels, task.settings.images)
            batches[max(cell.target for cell in cells)]
            if opened:
                yield from _damaged_images(dataset, batches, {cell.target for cell in cells})
        except TaskError as error:
            yield Need(f"tasks.{task.label}: {error}")
    yield from _of_victim(task, dataset, cells, threads, opened)


def _damaged_images(dataset: Dataset, batches: Batches, targets: Collection[int]) -> Iterator[Need]:
    for target in sorted(targets):
        for index in batches[target]:
            damage = dataset.damage(index)
            if damage is not None:
                yield Need(f"target {target}: {damage}", damaged=True)


def _of_victim(
    task: TaskConfig, dataset: Dataset | None, cells: Sequence[Cell], threads: int, opened: bool
) -> Iterator[Need]:
    settings = task.settings
    classes, size = (len(dataset.class_names), dataset.image_size) if dataset is not None else (1, 1)
    spec = ModelSpec(task.model.name, classes, size, task.model.options)
    if settings.weights_file is not None and not Path(settings.weights_file).is_file():
        yield Need(f"tasks.{task.label}: {settings.weights_file}: no such weights file")
    elif settings.weights_file is not None and opened:
        yield from _damaged_file(task, Path(settings.weights_file))
    if settings.weights == "pretrained":
        try:
            if not is_at_hand(spec):
                yield Need(f"tasks.{task.label}: published weights of its model", fetched=True)
        except TaskError as error:
            yield Need(f"tasks.{task.label}: {error}")
    if settings.weights == "trained":
        images = training_split(task.dataset)
        seeds = {cell.model_seed for cell in cells}
        files = [
            victim_file(spec, images.identity(), settings.training, seed, threads=threads) for seed in seeds
        ]
        if opened:
            yield from (need for file in files if file.is_file() for need in _damaged_file(task, file))
        if dataset is None or not all(file.is_file() for file in files):
            try:
                _build(images)
            except TaskError as error:
                yield _missing_images(images, error)


def _damaged_file(task: TaskConfig, file: Path) -> Iterator[Need]:
    try:
        check_tensors(file)
    except FileError as error:
        yield Need(f"tasks.{task.label}: {error}", damaged=True)


def _of_prior(prior: Component) -> Iterator[Need]:
    arguments = prior.arguments()
    for text in PRIORS.absent_files(prior.name, arguments):
        yield Need(f"priors.{prior.label}: {text}", fetched=PRIORS.are_fetched(prior.name, arguments))


def _build(dataset: Component) -> Dataset:
    built: Dataset = offline(dataset).build()
    return built


def _missing_images(dataset: Component, error: TaskError) -> Need:
    if dataset.options.get("download"):
        with suppress(TaskError):
            data_root(dataset.name, dataset.options.get("root"), "")
            return Need(f"{dataset.name}: its images", fetched=True)
    return Need(str(error))
