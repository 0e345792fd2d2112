"""The error of this room that is meant for a person to read."""

from __future__ import annotations

from gifd_bench.common.errors import UserError


class TaskError(UserError):
    """A task's data, file or setting is wrong; the message is one line that says what and where."""
