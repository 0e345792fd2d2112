"""What is run again, and within which limits."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gifd_bench.leaderboard.errors import LeaderboardError


@dataclass(frozen=True)
class RerunLimits:
    """What the submitted attack may use.

    Attributes:
        seconds: wall-clock time, from the import of the submitted class to its end.
        memory_gib: memory in GiB, in addition to what Python and the libraries take before: address space,
            and what all processes of the sandbox hold together.
    """

    seconds: float = 600.0
    memory_gib: float = 4.0

    def __post_init__(self) -> None:
        for name in ("seconds", "memory_gib"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0):
                raise LeaderboardError(f"rerun: {name} must be positive, not {value}")

    @property
    def memory_bytes(self) -> int:
        """The memory in bytes."""
        return int(self.memory_gib * 2**30)


@dataclass(frozen=True)
class Submitted:
    """What all attacks of one submission share, and a sandbox therefore shows.

    Attributes:
        prior: the prior, in the form of `Component.config`, or `None`. Files that its options name are
            shown to the attack. The caller takes their paths from this machine's settings, and never from
            the submission.
        source: the submitted file, if there is one.
    """

    prior: Mapping[str, Any] | None = None
    source: Path | None = None


@dataclass(frozen=True)
class RerunJob:
    """An attack on one observation, as in the submission.

    Attributes:
        attack: the attack, in the form of `Component.config`; a submitted file is called `attack.py` here,
            so `use` is then `attack.py:Class`.
        seed: the seed of the attack.
        most: the largest number of gradient evaluations.
    """

    attack: Mapping[str, Any]
    seed: int
    most: int
