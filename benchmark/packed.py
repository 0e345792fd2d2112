"""Running several cells as one inversion: cells that differ only in their target become its lanes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gifd_bench.benchmark.attacks.base import Attack
from gifd_bench.benchmark.bench import Bench, fail
from gifd_bench.benchmark.display import Listener
from gifd_bench.benchmark.errors import BenchmarkError
from gifd_bench.benchmark.inversion.reconstruction import Reconstruction
from gifd_bench.benchmark.inversion.targets import share_victim, unmet_together
from gifd_bench.benchmark.invert import Checkpoint, InversionInterrupted, invert_all
from gifd_bench.benchmark.matrix.cell import Cell
from gifd_bench.benchmark.matrix.unmet import unmet
from gifd_bench.benchmark.results.cell_folder import CellFolder
from gifd_bench.benchmark.results.pack_folder import PackFolder
from gifd_bench.benchmark.single import run_cell
from gifd_bench.benchmark.time_limit import TimeLimit, TimeLimitExceeded, ends_when_hung
from gifd_bench.benchmark.tracking.curves import Curves
from gifd_bench.common.errors import StorageError, one_line
from gifd_bench.tasks.observation import Observation

INTERRUPTIONS = (InversionInterrupted, KeyboardInterrupt, StorageError)


@dataclass(frozen=True)
class PackedCell:
    """A cell of a pack, and what it attacks."""

    cell: Cell
    folder: CellFolder
    observation: Observation


def run_pack(bench: Bench, matrix: str, cells: Sequence[Cell]) -> None:
    """Run cells of one kind to their end; this process has claimed those that have not ended.

    A failure of one cell affects only that cell. Cells that cannot run with the others, and all cells if
    their inversion fails, run one by one.

    Args:
        bench: what the cells share.
        matrix: the name of the matrix.
        cells: two or more cells; those that have already ended, in a pack that was interrupted, stay as
            they are.

    Raises:
        InversionInterrupted: it was asked to stop; the checkpoint of the pack has been written.
        StorageError: nothing can be written.
    """
    waiting = [cell for cell in cells if not bench.run.cell(cell).ended()]
    bench.current = [bench.run.cell(cell) for cell in waiting]
    alone = list(waiting)
    groups = _groups(bench, cells) if unmet(cells[0]) is None else []
    for lanes in groups:
        if len(lanes) > 1:
            together = {lane.cell.id for lane in lanes}
            alone = [cell for cell in alone if cell.id not in together]
            alone += _run_lanes(bench, matrix, lanes)
    for cell in alone:
        folder = bench.run.cell(cell)
        if not folder.ended():
            run_cell(bench, matrix, cell, folder)


def _groups(bench: Bench, cells: Sequence[Cell]) -> list[list[PackedCell]]:
    """The cells that can run together. A cell whose observation cannot be made fails alone, later."""
    attack: Attack = cells[0].attack.build()
    prior = bench.prior(cells[0].prior)
    groups: list[tuple[str, list[PackedCell]]] = []
    for cell in cells:
        folder = bench.run.cell(cell)
        try:
            observation = bench.rounds.observation(cell)
            kind = attack.kind_of(observation, prior)
        except INTERRUPTIONS:
            raise
        except Exception as error:
            folder.note(f"runs alone: {one_line(error)}")
            continue
        reason = None
        for its_kind, lanes in groups:
            first = lanes[0].observation
            reason = unmet_together(first, observation) if kind == its_kind else f"it is of {kind}"
            if reason is None:
                lanes.append(PackedCell(cell, folder, share_victim(first, observation)))
                break
        else:
            if reason is not None:
                folder.note(f"is not in the pack of {groups[0][1][0].cell.title}: {reason}")
            groups.append((kind, [PackedCell(cell, folder, observation)]))
    return [lanes for _, lanes in groups]


def _run_lanes(bench: Bench, matrix: str, lanes: Sequence[PackedCell]) -> Sequence[Cell]:
    """Run one inversion, and return the cells that have to run one by one nevertheless."""
    ids = [lane.cell.id for lane in lanes]
    pack = PackFolder.of(bench.run.packs, ids)
    waiting = [lane for lane in lanes if not lane.folder.ended()]
    seconds = bench.limits.checkpoint_seconds
    checkpoint = Checkpoint(pack.checkpoint, seconds, bench.stop, of=pack.path.name)
    doubt = checkpoint.drop_if_doubtful()
    event = f"starts again ({doubt})" if doubt else "goes on" if pack.checkpoint.exists() else "begins"
    for lane in waiting:
        lane.folder.begin(lane.cell)
        lane.folder.note(f"{event} in a pack of {len(lanes)}")
    pack.begin(ids)
    curves = bench.tracker.curves()
    try:
        answers = _answers(bench, lanes, checkpoint, curves)
    except INTERRUPTIONS:
        for lane in waiting:
            lane.folder.note("is interrupted")
        raise
    except TimeLimitExceeded as error:
        for lane in waiting:
            fail(lane.folder, error, checkpoint.spent() / len(lanes))
            bench.end(lane.cell, lane.folder)
        pack.remove()
        return ()
    except (Exception, SystemExit) as error:
        for lane in waiting:
            lane.folder.note(f"runs alone: the pack failed ({type(error).__name__}: {one_line(error)})")
        pack.remove()
        return [lane.cell for lane in waiting]
    for target, (lane, answer) in enumerate(zip(lanes, answers, strict=True)):
        if not lane.folder.ended():
            bench.tracker.begin(matrix, lane.cell, lane.folder)
            if curves is not None:
                bench.tracker.replay(curves, target)
            _finish(bench, lane, answer, checkpoint.spent() / len(lanes), ids)
    pack.remove()
    return ()


def _answers(
    bench: Bench, lanes: Sequence[PackedCell], checkpoint: Checkpoint, curves: Curves | None
) -> Sequence[Reconstruction | BenchmarkError]:
    first, limits = lanes[0].cell, bench.limits
    seconds = None if limits.seconds is None else limits.seconds * len(lanes)

    def hung(reason: str) -> None:
        # It is not known which cell is to blame, so the claims stay, and cells over which processes have
        # died run alone.
        for lane in lanes:
            lane.folder.note(f"the pack: {reason}")

    with ends_when_hung(seconds if limits.ends_process else None, hung):
        return invert_all(
            first.attack.build(),
            [lane.observation for lane in lanes],
            bench.prior(first.prior),
            [lane.cell.attack_seed for lane in lanes],
            threads=bench.threads,
            checkpoint=checkpoint,
            callbacks=[
                Listener(bench.display, f"{first.title} and {len(lanes) - 1} more"),
                *([] if curves is None else [curves]),
                TimeLimit(seconds, checkpoint.spent),
            ],
        )


def _finish(
    bench: Bench,
    lane: PackedCell,
    answer: Reconstruction | BenchmarkError,
    seconds: float,
    pack: Sequence[str],
) -> None:
    """End one cell of a pack."""
    try:
        if not isinstance(answer, Reconstruction):
            raise answer
        bench.finish(lane.cell, lane.folder, answer, lane.observation, seconds, pack)
    except INTERRUPTIONS:
        raise
    except (Exception, SystemExit) as error:
        fail(lane.folder, error, seconds)
    finally:
        bench.tracker.close()
    bench.end(lane.cell, lane.folder)
