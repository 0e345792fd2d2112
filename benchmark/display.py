"""Showing the progress of inversions while they run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback

from gifd_bench.benchmark.attacks.base import Attack


class Display(Protocol):
    """Shows the progress of a run. This one shows nothing."""

    def begin(self, title: str, iterations: int) -> None:
        """Show that an inversion of this many iterations begins, or continues."""

    def iterate(self, iteration: int) -> None:
        """Show that this many iterations are done."""

    def end(self, title: str, status: str) -> None:
        """Show that the inversion, or what it was for, has ended."""


class Both(Display):
    """Passes everything on to two displays."""

    def __init__(self, one: Display, other: Display) -> None:
        self._both = (one, other)

    def begin(self, title: str, iterations: int) -> None:
        for display in self._both:
            display.begin(title, iterations)

    def iterate(self, iteration: int) -> None:
        for display in self._both:
            display.iterate(iteration)

    def end(self, title: str, status: str) -> None:
        for display in self._both:
            display.end(title, status)


class Listener(Callback):
    """A callback that passes every iteration on to a display."""

    def __init__(self, display: Display, title: str) -> None:
        self.display, self.title = display, title

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        assert isinstance(pl_module, Attack)
        self.display.begin(self.title, pl_module.iterations)

    def on_train_batch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule, *args: object) -> None:
        assert isinstance(pl_module, Attack)
        self.display.iterate(pl_module.progress.iteration)


class VictimListener(Callback):
    """A callback that shows every step of a victim's training, and stops the training if asked to."""

    def __init__(self, display: Display, title: str, stop: Callable[[], bool]) -> None:
        self.display, self.title, self.stop = display, title, stop

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self.display.begin(f"{self.title}: training the victim", int(trainer.estimated_stepping_batches))

    def on_train_batch_end(self, trainer: pl.Trainer, *args: object) -> None:
        self.display.iterate(trainer.global_step)
        if self.stop():
            # Nothing of it is kept: victims are small enough to be trained again.
            raise KeyboardInterrupt
