"""The errors whose message is for the user: one line, no traceback."""

from __future__ import annotations

from benchmark.errors import BenchmarkError
from priors.errors import PriorError
from tasks.errors import TaskError

USER_ERRORS: tuple[type[Exception], ...] = (BenchmarkError, PriorError, TaskError)
