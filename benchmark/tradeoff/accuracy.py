"""The accuracy of victims trained under each defense, with several seeds; each training is kept."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar

from pydantic import ConfigDict

from gifd_bench.benchmark.commands.victim_options import victim_data
from gifd_bench.benchmark.matrix.defense import DefenseConfig
from gifd_bench.benchmark.matrix.task import TaskConfig
from gifd_bench.benchmark.results.record import STRICT, read_record, write_record
from gifd_bench.benchmark.time_limit import TimeLimit
from gifd_bench.common.errors import StorageError, one_line
from gifd_bench.common.files import make_folder
from gifd_bench.common.hashing import canonical, digest
from gifd_bench.tasks.models.check import check_model
from gifd_bench.tasks.models.spec import ModelSpec
from gifd_bench.tasks.training.images import VictimImages, load_images
from gifd_bench.tasks.training.settings import VictimTraining
from gifd_bench.tasks.training.utility import measure_utility


@dataclass(frozen=True)
class Training:
    """One training of a victim under a defense: the content of a file in the folder `accuracy`.

    Attributes:
        accuracy: the share of the held-out images that the victim classifies correctly, 0 to 1; `None` if
            there is none, and then `reason` says why.
        epsilon, delta: the differential privacy of the whole training, if the defense gives any.
        reason: why there is no accuracy.
        seconds: processor time.
    """

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    accuracy: float | None
    epsilon: float | None
    delta: float | None
    reason: str | None
    seconds: float


class Trainings:
    """The trainings of one task. Each training that has ended is read from its file.

    Args:
        folder: the folder of the files, which is made when the first one is written.
        task: the task whose victim is trained, on the training images of its dataset.
        training: how it is trained.
        held_out: the number of held-out images for the evaluation, drawn at random; `None` for all.
        seconds: limit of the processor time of one training; `None` for no limit.
    """

    def __init__(
        self,
        folder: Path,
        task: TaskConfig,
        training: VictimTraining,
        held_out: int | None = None,
        seconds: float | None = None,
    ) -> None:
        self._folder, self._task, self._training = folder, task, training
        self._held_out, self._seconds = held_out, seconds
        self._images: tuple[VictimImages, VictimImages] | None = None

    def get(self, defense: DefenseConfig, seed: int) -> Training | None:
        """A training that has ended; `None` if it has not.

        Raises:
            FileError: its file is damaged.
        """
        file = self._file(defense, seed)
        return read_record(Training, file) if file.is_file() else None

    def run(self, defense: DefenseConfig, seed: int) -> Training:
        """A training, which runs now unless it has ended before. A failure is a result, too.

        Raises:
            StorageError: its file cannot be written.
            KeyboardInterrupt: it was interrupted; nothing of it is kept.
        """
        found = self.get(defense, seed)
        if found is not None:
            return found
        began = time.process_time()
        try:
            train, held_out = self._load()
            limit = TimeLimit(self._seconds, lambda: time.process_time() - began)
            utility = measure_utility(
                self._spec(train),
                train,
                held_out,
                defense.build(),
                self._training,
                seed,
                progress=False,
                callbacks=[limit],
            )
            numbers: dict[str, Any] = asdict(utility)
        except (KeyboardInterrupt, StorageError):
            raise
        except Exception as error:  # Whatever a model or a defense raises costs this training alone.
            reason = f"{type(error).__name__}: {one_line(error)}"
            numbers = {"accuracy": None, "epsilon": None, "delta": None, "reason": reason}
        done = Training(**numbers, seconds=round(time.process_time() - began, 3))
        make_folder(self._folder)
        write_record(done, self._file(defense, seed))
        return done

    def _load(self) -> tuple[VictimImages, VictimImages]:
        if self._images is None:
            data = victim_data(self._task.dataset, 0)
            self._images = (
                load_images(data.train, self._training.limit, self._training.seed, progress=False),
                load_images(data.held_out, self._held_out, 0, progress=False),
            )
        return self._images

    def _spec(self, train: VictimImages) -> ModelSpec:
        data = victim_data(self._task.dataset, 0).train
        spec = ModelSpec(
            self._task.model.name, len(data.class_names), data.image_size, self._task.model.options
        )
        check_model(spec)
        return spec

    def _file(self, defense: DefenseConfig, seed: int) -> Path:
        parts = {
            "dataset": self._task.dataset.canonical,
            "model": self._task.model.canonical,
            "defense": defense.canonical,
            "training": canonical(asdict(self._training)),
            "held_out": str(self._held_out),
            "seed": str(seed),
        }
        return self._folder / f"{digest(parts)}.json"
