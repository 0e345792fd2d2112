"""Checks of the settings that several defenses have."""

from __future__ import annotations

import math

from gifd_bench.tasks.errors import TaskError


def check_positive(setting: str, value: float) -> None:
    """Refuse a number that is not positive and finite.

    Raises:
        TaskError: the message names the setting.
    """
    if not 0 < value < math.inf:
        raise TaskError(f"{setting} must be a positive number, not {value}")


def check_fraction(setting: str, value: float) -> None:
    """Refuse a number that is not strictly between 0 and 1.

    Raises:
        TaskError: the message names the setting.
    """
    if not 0 < value < 1:
        raise TaskError(f"{setting} must be above 0 and below 1 (0.9 is 90 %), not {value}")
