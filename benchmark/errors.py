"""The error of `benchmark` that is meant for a person to read."""

from __future__ import annotations

from gifd_bench.common.errors import UserError


class BenchmarkError(UserError):
    """A configuration, folder or option is wrong; the message is one line that says what and where."""
