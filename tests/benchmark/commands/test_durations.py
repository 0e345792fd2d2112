"""Times as people read them, and where they are shown."""

from __future__ import annotations

import io
import time
from collections import Counter

import pytest
from rich.console import Console

from gifd_bench.benchmark.commands.durations import duration
from gifd_bench.benchmark.commands.run_display import StatusDisplay
from gifd_bench.benchmark.launch.status import Running, RunStatus
from gifd_bench.benchmark.results.claims import Claim


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "1 s"),
        (59.4, "59 s"),
        (59.6, "1 min"),
        (61, "1 min 1 s"),
        (3600, "1 h"),
        (3 * 3600 + 5 * 60 + 59, "3 h 5 min"),
        (2 * 86400 + 3599, "2 d"),
        (1234 * 86400 + 7200, "1,234 d 2 h"),
    ],
)
def test_a_duration_has_two_units_at_most(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_a_run_shows_the_time_left_and_who_is_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([0.0, 10.0])
    monkeypatch.setattr(time, "monotonic", lambda: next(clock, 10.0))
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, width=140)
    cell = Running("photos / ig", Claim("node7", 1, None, 0.0), 0, 0, 0.0, silent=3725.0)
    with StatusDisplay(console) as display:
        display.show(RunStatus(Counter(queued=40), ()))
        display.show(RunStatus(Counter(done=1, silent=1, queued=38), (cell,)))
    assert "6.0 cells/min" in screen.getvalue()
    assert "6 min 30 s left" in screen.getvalue()
    assert "silent for 1 h 2 min" in screen.getvalue()
