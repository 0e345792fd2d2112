"""The time limit of a cell: checked between iterations, and enforced if an iteration does not end."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Callback

from gifd_bench.benchmark.errors import BenchmarkError
from gifd_bench.common.errors import ExitStatus

# How long an iteration may run beyond the limit before the process is ended, in seconds.
GRACE = 10.0


class TimeLimitExceeded(BenchmarkError):
    """A cell took longer than its limit."""


class TimeLimit(Callback):
    """Ends an inversion that has taken too long, after an iteration.

    Args:
        seconds: the limit; `None` for no limit.
        spent: returns the seconds so far, including those before an interruption.
    """

    def __init__(self, seconds: float | None, spent: Callable[[], float]) -> None:
        self.seconds, self.spent = seconds, spent

    def on_train_batch_end(self, trainer: pl.Trainer, *args: object) -> None:
        if self.seconds is not None and self.spent() > self.seconds:
            raise TimeLimitExceeded(f"it took more than its time limit of {self.seconds:g} s")


@contextmanager
def ends_when_hung(seconds: float | None, record: Callable[[str], None]) -> Iterator[None]:
    """End this process with exit status `HUNG` if the block exceeds a limit and its grace period.

    Args:
        seconds: the limit; `None` for no limit.
        record: is called with the reason before the process ends.
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
