"""A cell's time limit: asked for between iterations, and enforced where an iteration does not end."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback

from gifd_bench.benchmark.errors import BenchmarkError
from gifd_bench.common.errors import ExitStatus

# What an iteration may take beyond the limit before the process is ended.
GRACE = 10.0


class TimeLimitExceeded(BenchmarkError):
    """A cell took longer than it may."""


class TimeLimit(Callback):
    """Ends an inversion that has taken too long, after an iteration.

    Args:
        seconds: null for no limit.
        spent: tells the seconds so far, those before an interruption included.
    """

    def __init__(self, seconds: float | None, spent: Callable[[], float]) -> None:
        self.seconds, self.spent = seconds, spent

    def on_train_batch_end(self, trainer: pl.Trainer, *args: object) -> None:
        if self.seconds is not None and self.spent() > self.seconds:
            raise TimeLimitExceeded(f"it took more than its time limit of {self.seconds:g} s")


@contextmanager
def ends_when_hung(seconds: float | None, record: Callable[[str], None]) -> Iterator[None]:
    """End this process with exit status `HUNG` where the block takes longer than a limit and its grace.

    Args:
        seconds: the limit; null for none.
        record: called with the reason before the process ends.
    """
    if seconds is None:
        yield
        return
    done = threading.Event()
    limit = seconds

    def watch() -> None:
        if not done.wait(limit + GRACE):
            record(f"TimeLimitExceeded: it hung in an iteration beyond its time limit of {limit:g} s")
            # Nothing gentler stops a thread that does not come back to Python.
            os._exit(ExitStatus.HUNG)

    threading.Thread(target=watch, daemon=True).start()
    try:
        yield
    finally:
        done.set()
