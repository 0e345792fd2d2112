"""Runs whose cells share inversions: records, failures, interruptions, other processes."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import torch

from gifd_bench.benchmark import packed
from gifd_bench.benchmark.cli import run as cli
from gifd_bench.benchmark.invert import InversionInterrupted
from gifd_bench.benchmark.launch.local import LocalLauncher
from gifd_bench.benchmark.launch.slurm import waiting_positions
from gifd_bench.benchmark.launch.worker import WorkerSettings
from gifd_bench.benchmark.matrix.cell import Cell
from gifd_bench.benchmark.matrix.config import Matrix
from gifd_bench.benchmark.matrix.packs import by_kind, kind_of
from gifd_bench.benchmark.results.cell_folder import CellFolder
from gifd_bench.benchmark.results.claims import Claim, claimed
from gifd_bench.benchmark.results.record import write_record
from gifd_bench.benchmark.results.run_folder import RunFolder
from gifd_bench.benchmark.rounds import Rounds
from gifd_bench.benchmark.tracking.csv import CsvTracker
from gifd_bench.common.files import make_folder, read_tensors
from gifd_bench.tasks.errors import TaskError
from tests.benchmark.helpers import reconstructions, run, tiny_matrix, write_config


def small(folder: Path, **changes: Any) -> Matrix:
    """Four targets of one attack."""
    given: dict[str, Any] = {"attacks": {"ig": {"iterations": 4}}, "targets": 4, "defenses": {"none": None}}
    return tiny_matrix(folder, **{**given, **changes})


def cells_of(matrix: Matrix, output: Path) -> list[tuple[Cell, CellFolder]]:
    folder = RunFolder(output)
    return [(cell, folder.cell(cell)) for cell in matrix.cells()]


def packs(matrix: Matrix, output: Path) -> list[tuple[str, ...]]:
    return [folder.read().pack for _, folder in cells_of(matrix, output)]


def after(iterations: int) -> Callable[[], bool]:
    left = iter(range(iterations))
    return lambda: next(left, None) is None


def test_cells_that_differ_in_target_alone_run_together_and_say_so(tmp_path: Path) -> None:
    matrix = small(tmp_path, attacks={"ig": {"iterations": 4}, "dlg": {"iterations": 1}})
    display = run(matrix, tmp_path / "out", pack=3)
    assert display.ended == ["done"] * 8
    assert [title.split(", ")[-1] for title in display.begun] == ["ig and 2 more", "ig", *["dlg"] * 4]
    ids = [cell.id for cell in matrix.cells() if cell.attack.name == "ig"]
    found = dict(zip([cell.id for cell in matrix.cells()], packs(matrix, tmp_path / "out"), strict=True))
    assert [found[name] for name in ids] == [tuple(ids[:3])] * 3 + [()]
    assert {found[name] for name in found if name not in ids} == {()}
    assert not list((tmp_path / "out" / "packs").iterdir())


def test_a_packed_cell_finds_what_it_finds_alone(tmp_path: Path) -> None:
    matrix = small(tmp_path)
    run(matrix, tmp_path / "alone")
    run(matrix, tmp_path / "packed", pack=4)
    for (_, alone), (_, beside) in zip(
        cells_of(matrix, tmp_path / "alone"), cells_of(matrix, tmp_path / "packed"), strict=True
    ):
        one, other = alone.read(), beside.read()
        assert other.gradient_evaluations == one.gradient_evaluations
        assert other.matching_loss == pytest.approx(one.matching_loss, rel=1e-2)
        curves = [read_tensors(folder.reconstruction)["curve"] for folder in (alone, beside)]
        torch.testing.assert_close(curves[0][0], curves[1][0], rtol=1e-4, atol=0)


@pytest.mark.slow
def test_the_same_packs_give_the_same_bytes_and_one_gives_those_of_no_packs(tmp_path: Path) -> None:
    matrix = small(tmp_path)
    for name, pack in (("one", 2), ("two", 2), ("none", 1)):
        run(matrix, tmp_path / name, pack=pack)
    run(matrix, tmp_path / "default")
    assert reconstructions(tmp_path / "one") == reconstructions(tmp_path / "two")
    assert reconstructions(tmp_path / "none") == reconstructions(tmp_path / "default")
    assert packs(matrix, tmp_path / "none") == [()] * 4


@pytest.mark.slow
@pytest.mark.parametrize("iterations", [0, 2, 3, 6])
def test_an_interrupted_pack_goes_on_to_the_same_bytes(tmp_path: Path, iterations: int) -> None:
    matrix = small(tmp_path)
    whole = run(matrix, tmp_path / "whole", pack=2)
    with pytest.raises(InversionInterrupted):
        run(matrix, tmp_path / "broken", stop=after(iterations), pack=2)
    assert len(list((tmp_path / "broken").glob("packs/*/checkpoint.ckpt"))) == 1
    rest = run(matrix, tmp_path / "broken", pack=2)
    assert reconstructions(tmp_path / "whole") == reconstructions(tmp_path / "broken")
    assert not list((tmp_path / "broken").rglob("*.ckpt*"))
    assert whole.iterations - rest.iterations == iterations + 1


@pytest.mark.slow
def test_a_pack_whose_process_dies_while_it_is_scored_is_not_run_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    matrix = small(tmp_path)
    run(matrix, tmp_path / "whole", pack=4)
    finish, left = packed._finish, iter(range(2))

    def dies(bench: Any, lane: Any, *arguments: Any) -> None:
        if next(left, None) is None:
            raise KeyboardInterrupt
        finish(bench, lane, *arguments)

    with monkeypatch.context() as patched:
        patched.setattr(packed, "_finish", dies)
        with pytest.raises(KeyboardInterrupt):
            run(matrix, tmp_path / "out", pack=4)
    rest = run(matrix, tmp_path / "out", pack=4)
    assert rest.ended == ["done", "done"]
    assert reconstructions(tmp_path / "out") == reconstructions(tmp_path / "whole")


@pytest.mark.nightly
def test_a_pack_whose_process_is_killed_goes_on_to_the_same_bytes(tmp_path: Path) -> None:
    matrix = small(tmp_path, attacks={"ig": {"iterations": 150}})
    run(matrix, tmp_path / "whole", pack=4)
    folder = RunFolder(tmp_path / "out")
    folder.open_for(matrix)
    settings = WorkerSettings(checkpoint_seconds=0.05, pack=4)
    worker = subprocess.Popen(settings.command(folder.path))
    try:
        while not list(folder.packs.glob("*/checkpoint.ckpt")):
            assert worker.poll() is None
            time.sleep(0.02)
    finally:
        worker.kill()
        worker.wait()
    killed = not folder.cell(next(matrix.cells())).ended()
    rest = run(matrix, folder.path, pack=4)
    assert reconstructions(folder.path) == reconstructions(tmp_path / "whole")
    assert killed
    assert 0 < rest.iterations < 150


@pytest.mark.nightly
def test_two_jobs_make_the_packs_of_one(tmp_path: Path) -> None:
    matrix = small(tmp_path, attacks={"ig": {"iterations": 3}, "gion": {"iterations": 2}})
    run(matrix, tmp_path / "one", pack=4)
    folder = RunFolder(tmp_path / "two")
    folder.open_for(matrix)
    assert LocalLauncher(2, WorkerSettings(pack=4)).run(folder, lambda _: None, lambda: False)
    assert reconstructions(folder.path) == reconstructions(tmp_path / "one")
    assert packs(matrix, folder.path) == packs(matrix, tmp_path / "one")


@pytest.mark.slow
def test_the_command_says_what_it_cannot_pack(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    attacks = {"ig": {"iterations": 1}, "dlg": {"iterations": 1, "evaluations": 2}}
    config = write_config(tmp_path, attacks=attacks, targets=2, defenses={"none": None})
    command = ["run", str(config), "--output", str(tmp_path / "out"), "--jobs=1"]
    assert cli([*command, "--pack=0"]) == 2
    assert "--pack must be at least 1, not 0" in capsys.readouterr().err
    assert cli([*command, "--pack=2"]) == 0
    assert "one by one, because they cannot be packed: dlg" in capsys.readouterr().out
    matrix = RunFolder(tmp_path / "out").load_matrix()
    assert sorted(map(len, packs(matrix, tmp_path / "out"))) == [0, 0, 2, 2]


def test_jobs_of_a_cluster_begin_at_packs(tmp_path: Path) -> None:
    matrix = small(tmp_path, attacks={"ig": {"iterations": 3}, "gion": {"iterations": 2}})
    folder = RunFolder(tmp_path / "out")
    folder.open_for(matrix)
    cells = by_kind(matrix.cells())
    (ended, *_), rest = cells[:1], cells[1:]
    make_folder(folder.cell(ended).path)
    folder.cell(ended).write_skipped("not now")
    assert [cells[position] for position in waiting_positions(folder, 4)] == rest


def test_what_fails_for_one_costs_that_one_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    matrix = small(tmp_path)
    observation = Rounds.observation

    def damaged(self: Rounds, cell: Any) -> Any:
        if cell.target == 1:
            raise TaskError("the image is damaged")
        return observation(self, cell)

    monkeypatch.setattr(Rounds, "observation", damaged)
    display = run(matrix, tmp_path / "out", pack=4)
    assert sorted(display.ended) == ["done", "done", "done", "failed"]
    ids = [cell.id for cell in matrix.cells()]
    others = tuple(ids[:1] + ids[2:])
    assert packs(matrix, tmp_path / "out") == [others, (), others, others]
    assert cells_of(matrix, tmp_path / "out")[1][1].read().reason == "TaskError: the image is damaged"


def test_a_metric_that_fails_costs_its_cell_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    matrix = small(tmp_path)
    truth, calls = RunFolder.truth, iter(range(9))

    def broken(self: RunFolder, cell: Any) -> Any:
        if next(calls) == 2:
            raise ZeroDivisionError("no metric")
        return truth(self, cell)

    monkeypatch.setattr(RunFolder, "truth", broken)
    assert run(matrix, tmp_path / "out", pack=4).ended == ["done", "done", "failed", "done"]


@pytest.mark.slow
def test_where_the_inversion_of_a_pack_fails_its_cells_run_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*arguments: Any, **more: Any) -> Any:
        raise MemoryError("too many lanes")

    monkeypatch.setattr(packed, "invert_all", broken)
    matrix = small(tmp_path)
    run(matrix, tmp_path / "out", pack=4)
    monkeypatch.undo()
    run(matrix, tmp_path / "alone")
    assert reconstructions(tmp_path / "out") == reconstructions(tmp_path / "alone")
    log = cells_of(matrix, tmp_path / "out")[0][1].log.read_text()
    assert "runs alone: the pack failed (MemoryError: too many lanes)" in log


def test_a_pack_is_formed_of_what_is_free(tmp_path: Path) -> None:
    matrix, out = small(tmp_path), tmp_path / "out"
    RunFolder(out).open_for(matrix)
    with ExitStack() as others:
        others.enter_context(claimed(cells_of(matrix, out)[1][1]))
        run(matrix, out, pack=4)
    ids = [cell.id for cell in matrix.cells()]
    assert [folder.ended() for _, folder in cells_of(matrix, out)] == [True, False, True, True]
    assert cells_of(matrix, out)[0][1].read().pack == tuple(ids[:1] + ids[2:])


def test_a_cell_over_which_processes_died_takes_no_others_with_it(tmp_path: Path) -> None:
    matrix, out = small(tmp_path), tmp_path / "out"
    RunFolder(out).open_for(matrix)
    suspect = cells_of(matrix, out)[2][1]
    suspect.path.mkdir()
    write_record(Claim("host", 1, None, 0.0, deaths=1), suspect.claim)
    run(matrix, out, pack=4)
    ids = [cell.id for cell in matrix.cells()]
    others = tuple(ids[:2] + ids[3:])
    assert packs(matrix, out) == [others, others, (), others]


def test_a_cell_that_has_begun_alone_goes_on_alone(tmp_path: Path) -> None:
    matrix = small(tmp_path)
    with pytest.raises(InversionInterrupted):
        run(matrix, tmp_path / "out", stop=after(2))
    run(matrix, tmp_path / "out", pack=4)
    ids = [cell.id for cell in matrix.cells()]
    assert packs(matrix, tmp_path / "out") == [(), *[tuple(ids[1:])] * 3]


def test_curves_of_every_cell_reach_the_tracker(tmp_path: Path) -> None:
    matrix = small(tmp_path)
    run(matrix, tmp_path / "out", pack=4, tracker=CsvTracker())
    for _, folder in cells_of(matrix, tmp_path / "out"):
        lines = (folder.tracking / "metrics.csv").read_text().splitlines()
        column = lines[0].split(",").index("matching_loss")
        logged = [float(line.split(",")[column]) for line in lines[1:] if line.split(",")[column]]
        curve = read_tensors(folder.reconstruction)["curve"]
        assert logged == pytest.approx(curve.tolist())


@pytest.mark.slow
def test_targets_of_classes_that_the_prior_knows_are_packed_apart(tmp_path: Path) -> None:
    """Of the photographs the bundled prior knows the cat, target 1, alone."""
    matrix = small(tmp_path, attacks={"latent": {"iterations": 2}})
    assert run(matrix, tmp_path / "out", pack=4).ended == ["done"] * 4
    ids = [cell.id for cell in matrix.cells()]
    others = tuple(ids[:1] + ids[2:])
    assert packs(matrix, tmp_path / "out") == [others, (), others, others]
    assert "knows" in cells_of(matrix, tmp_path / "out")[1][1].log.read_text()


def test_kinds_are_all_but_the_target(tmp_path: Path) -> None:
    matrix = tiny_matrix(tmp_path, targets=[0, 1], seeds=[0, 1])
    cells = by_kind(matrix.cells())
    assert sorted(cell.id for cell in cells) == sorted(cell.id for cell in matrix.cells())
    for one, other in zip(cells[::2], cells[1::2], strict=True):
        assert kind_of(one) == kind_of(other)
        assert (one.target, other.target) == (0, 1)
    assert len({kind_of(cell) for cell in cells}) == len(cells) // 2
