"""The error of `priors` that is meant for a person to read."""

from __future__ import annotations

from gifd_bench.common.errors import UserError


class PriorError(UserError):
    """A file or the use of a prior is wrong; the message is one line that says what and where."""
