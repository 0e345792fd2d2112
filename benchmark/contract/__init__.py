"""What every attack promises, as checks that run on any attack, ours or anyone's."""

from __future__ import annotations

from gifd_bench.benchmark.contract.checks import CHECKS
from gifd_bench.benchmark.contract.subject import Broken, Subject

__all__ = ["CHECKS", "Broken", "Subject"]
