"""What is logged about an attack while it runs."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback
from torch.optim import Optimizer

from gifd_bench.benchmark.attacks.base import Attack

POINTS = 200


class Curves(Callback):
    """Logs about `POINTS` iterations, because each reading waits for the device. It sees no truth.

    The points are part of a checkpoint. An inversion that continues from one logs them all again, so that
    the last log is complete: W&B replaces an offline run by the next one with the same id, and a CSV file
    begins anew.

    Args:
        log: is called with numbers and the iteration, from 0, to which they belong; `None` only keeps them.
    """

    def __init__(self, log: Callable[[Mapping[str, float], int], None] | None = None) -> None:
        self._log = log
        self._points: list[dict[str, Any]] = []
        self._learning_rate: Any = None
        self._iteration = 0
        self._time = 0.0

    def on_fit_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        # Not when training starts, because it does not start after an interruption at the last iteration.
        if self._log is not None:
            for numbers, iteration in self.points():
                self._log(numbers, iteration)

    def points(self, target: int = 0) -> Iterator[tuple[Mapping[str, float], int]]:
        """All points of a target so far."""
        for point in self._points:
            loss = point["matching_losses"][target]
            yield {"matching_loss": loss, **point["numbers"]}, point["iteration"]

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        assert isinstance(pl_module, Attack)
        self._iteration, self._time = pl_module.progress.iteration, time.perf_counter()

    def on_before_optimizer_step(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, optimizer: Optimizer
    ) -> None:
        # Read here, because the scheduler has moved on by the end of the step.
        self._learning_rate = optimizer.param_groups[0].get("lr")

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *args: object) -> None:
        assert isinstance(pl_module, Attack)
        done = pl_module.progress.iteration
        if (done - 1) % max(1, pl_module.iterations // POINTS) == 0:
            losses, numbers = pl_module.course.latest_losses.tolist(), self._numbers(pl_module)
            self._points.append({"iteration": done - 1, "numbers": numbers, "matching_losses": losses})
            if self._log is not None:
                self._log({"matching_loss": losses[0], **numbers}, done - 1)

    def _numbers(self, attack: Attack) -> dict[str, float]:
        progress = attack.progress
        now = time.perf_counter()
        numbers = {
            "gradient_evaluations": float(progress.gradient_evaluations),
            "restart": float(progress.restart),
            "stage": float(progress.stage),
            "iterations_per_second": (progress.iteration - self._iteration) / (now - self._time),
        }
        if self._learning_rate is not None:
            numbers["learning_rate"] = float(self._learning_rate)
        self._iteration, self._time = progress.iteration, now
        return numbers

    def state_dict(self) -> dict[str, Any]:
        return {"points": self._points}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._points = list(state_dict["points"])
