"""What trackers write, read back; and what becomes of a run whose tracker fails."""

from __future__ import annotations

import csv
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import pytest

from gifd_bench.benchmark.invert import InversionInterrupted
from gifd_bench.benchmark.matrix.config import Matrix
from gifd_bench.benchmark.results.rows import rows_of
from gifd_bench.benchmark.results.run_folder import RunFolder
from gifd_bench.benchmark.tracking.base import Tracker
from gifd_bench.benchmark.tracking.guarded import Guarded
from gifd_bench.benchmark.tracking.registry import TRACKERS
from gifd_bench.common.errors import UserError
from tests.benchmark.helpers import reconstructions, run, tiny_matrix
from tests.benchmark.test_runner import after

CURVES = {
    *("matching_loss", "gradient_evaluations", "restart", "stage"),
    *("iterations_per_second", "learning_rate"),
}


class Recorder(Tracker):
    """Keeps what it is told, in order."""

    wants_curves: ClassVar[bool] = True

    def __init__(self) -> None:
        self.told: list[tuple[str, Any]] = []

    def begin(self, *arguments: Any) -> None:
        self.told.append(("begin", arguments[1].attack.label))

    def log(self, numbers: Mapping[str, float], iteration: int) -> None:
        self.told.append(("log", (iteration, dict(numbers))))

    def finish(self, *arguments: Any) -> None:
        self.told.append(("finish", None))

    def close(self) -> None:
        self.told.append(("close", None))

    def logged(self) -> list[tuple[int, dict[str, float]]]:
        return [what for name, what in self.told if name == "log"]


class Broken(Tracker):
    """Raises whatever is asked of it."""

    wants_curves: ClassVar[bool] = True

    def begin(self, *arguments: Any, **named: Any) -> None:
        self.fail()

    log = finish = close = summarize = begin

    def fail(self) -> None:
        raise ConnectionError("no network\nat all")


class BrokenLater(Broken):
    """Raises once the cell has begun."""

    def begin(self, *arguments: Any, **named: Any) -> None:
        pass


def one_attack(folder: Path, **attacks: Any) -> Matrix:
    return tiny_matrix(folder, defenses={"none": None}, attacks=attacks)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(TRACKERS))
def test_tracking_changes_no_result(name: str, tmp_path: Path) -> None:
    if name == "tensorboard":
        pytest.importorskip("tensorboard")
    matrix = tiny_matrix(tmp_path, defenses={"none": None})
    run(matrix, tmp_path / "plain")
    run(matrix, tmp_path / "tracked", tracker=TRACKERS[name]())
    assert reconstructions(tmp_path / "plain") == reconstructions(tmp_path / "tracked")


@pytest.mark.slow
@pytest.mark.parametrize("broken", [Broken, BrokenLater])
def test_a_tracker_that_always_raises_costs_one_line_and_no_cell(
    broken: type[Tracker], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    matrix = tiny_matrix(tmp_path, defenses={"none": None})
    run(matrix, tmp_path / "plain")
    display = run(matrix, tmp_path / "tracked", tracker=broken())
    assert display.ended == ["done", "done"]
    assert reconstructions(tmp_path / "plain") == reconstructions(tmp_path / "tracked")

    def results(folder: Path) -> list[dict[str, Any]]:
        return [row.as_dict() | {"seconds": None} for row in rows_of(RunFolder(folder))]

    assert results(tmp_path / "plain") == results(tmp_path / "tracked")
    (line,) = [line for line in capsys.readouterr().err.splitlines() if "ConnectionError" in line]
    assert line.startswith(f"gifd-bench: {broken.__name__} failed (ConnectionError: no network at all)")


def test_a_summary_that_fails_is_a_warning() -> None:
    lines: list[str] = []
    guarded = Guarded(Broken(), lines.append)
    guarded.summarize(RunFolder(Path("nowhere")))
    guarded.summarize(RunFolder(Path("nowhere")))
    assert len(lines) == 1


@pytest.mark.slow
def test_every_cell_that_begins_is_closed_whatever_becomes_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from gifd_bench.benchmark.attacks.ig import IG

    def broken(self: Any, images: Any) -> Any:
        raise ZeroDivisionError

    tracker = Recorder()
    with pytest.raises(InversionInterrupted):
        run(one_attack(tmp_path, ig={"iterations": 4}), tmp_path / "a", after(1), tracker)
    monkeypatch.setattr(IG, "penalty", broken)
    run(one_attack(tmp_path, ig={"iterations": 3}), tmp_path / "b", tracker=tracker)
    assert [name for name, _ in tracker.told if name != "log"] == ["begin", "close"] * 2


def test_nothing_that_is_logged_while_attacking_knows_the_truth(tmp_path: Path) -> None:
    tracker = Recorder()
    run(tiny_matrix(tmp_path, defenses={"none": None}), tmp_path / "out", tracker=tracker)
    assert {name for _, numbers in tracker.logged() for name in numbers} == CURVES
    names = [name for name, _ in tracker.told]
    assert names == ["begin", *["log"] * 4, "finish", "close", "begin", *["log"] * 5, "finish", "close"]


def test_curves_say_where_the_attack_is(tmp_path: Path) -> None:
    tracker = Recorder()
    options = {"iterations": [2, 1, 1, 1, 1], "learning_rate": 0.5, "restarts": 2, "restarts_at_once": 1}
    matrix = one_attack(tmp_path, gifd=options)
    run(matrix, tmp_path / "out", tracker=tracker)
    (row,) = rows_of(RunFolder(tmp_path / "out"))
    iterations = [iteration for iteration, _ in tracker.logged()]
    numbers = [numbers for _, numbers in tracker.logged()]
    assert iterations == list(range(12))
    assert [n["stage"] for n in numbers] == [0, 0, 1, 2, 3, 4] * 2
    assert [n["restart"] for n in numbers] == [0] * 6 + [1] * 6
    # One more at the end of every restart: the last iterate is evaluated without a step.
    assert [n["gradient_evaluations"] for n in numbers] == [*range(1, 7), *range(8, 14)]
    assert row.gradient_evaluations == 14
    assert all(n["iterations_per_second"] > 0 for n in numbers)
    assert all(0 < n["learning_rate"] <= 0.5 for n in numbers)


@pytest.mark.slow
@pytest.mark.parametrize("stop", [0, 2, 3])
def test_an_interrupted_cell_is_logged_whole_by_whoever_goes_on(stop: int, tmp_path: Path) -> None:
    matrix = one_attack(tmp_path, ig={"iterations": 4})
    whole, first, second = Recorder(), Recorder(), Recorder()
    run(matrix, tmp_path / "whole", tracker=whole)
    with pytest.raises(InversionInterrupted):
        run(matrix, tmp_path / "out", after(stop), first)
    run(matrix, tmp_path / "out", tracker=second)

    def without_rates(tracker: Recorder) -> list[tuple[int, dict[str, float]]]:
        return [(i, n | {"iterations_per_second": 0.0}) for i, n in tracker.logged()]

    assert without_rates(second) == without_rates(whole)
    assert without_rates(first) == without_rates(whole)[: stop + 1]


@pytest.mark.slow
def test_csv_holds_the_curve_and_the_scores_after_an_interruption_too(tmp_path: Path) -> None:
    matrix = one_attack(tmp_path, ig={"iterations": 402})
    with pytest.raises(InversionInterrupted):
        run(matrix, tmp_path / "out", after(199), tracker=TRACKERS["csv"]())
    run(matrix, tmp_path / "out", tracker=TRACKERS["csv"]())
    (file,) = (tmp_path / "out").glob("cells/*/tracking/metrics.csv")
    rows = list(csv.DictReader(file.open()))
    curve = [(int(row["step"]), float(row["matching_loss"])) for row in rows if row["matching_loss"]]
    assert [step for step, _ in curve] == list(range(0, 402, 2))
    assert curve[-1][1] < curve[0][1]
    last = rows[-1]
    assert 0 < float(last["psnr"]) < 100
    assert float(last["total_gradient_evaluations"]) == 403


@pytest.mark.slow
def test_tensorboard_holds_curves_scores_and_images_after_an_interruption_too(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    matrix = one_attack(tmp_path, gifd={"iterations": 1})
    with pytest.raises(InversionInterrupted):
        run(matrix, tmp_path / "out", after(2), tracker=TRACKERS["tensorboard"]())
    run(matrix, tmp_path / "out", tracker=TRACKERS["tensorboard"]())
    (folder,) = (tmp_path / "out").glob("cells/*/tracking")
    events = EventAccumulator(str(folder))
    events.Reload()
    assert sorted(event.step for event in events.Scalars("matching_loss")) == list(range(5))
    (psnr,) = events.Scalars("psnr")
    (row,) = rows_of(RunFolder(tmp_path / "out"))
    assert psnr.value == pytest.approx(row.psnr)
    assert {"truth and reconstruction/0", "stages/0"} <= set(events.Tags()["images"])
    (image,) = events.Images("stages/0")
    assert (image.height, image.width) == (128, 6 * 128)


def test_a_missing_tensorboard_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    with pytest.raises(UserError, match=r"pip install 'gifd-bench\[tensorboard\]'"):
        TRACKERS["tensorboard"]()
