"""Running one cell."""

from __future__ import annotations

from gifd_bench.benchmark.attacks.base import Attack
from gifd_bench.benchmark.bench import Bench, fail
from gifd_bench.benchmark.display import Listener
from gifd_bench.benchmark.invert import Checkpoint, InversionInterrupted, invert
from gifd_bench.benchmark.matrix.cell import Cell
from gifd_bench.benchmark.matrix.unmet import unmet
from gifd_bench.benchmark.results.cell_folder import CellFolder
from gifd_bench.benchmark.time_limit import TimeLimit, ends_when_hung
from gifd_bench.common.errors import StorageError


def run_cell(bench: Bench, matrix: str, cell: Cell, folder: CellFolder) -> None:
    """Run a cell to its end; this process has claimed it.

    Args:
        bench: what the cells share.
        matrix: the name of the matrix.
        cell: the cell to run.
        folder: its folder.

    Raises:
        InversionInterrupted: it was asked to stop; its checkpoint has been written.
        StorageError: nothing can be written.
    """
    bench.current = (folder,)
    folder.begin(cell)
    seconds = bench.limits.checkpoint_seconds
    checkpoint = Checkpoint(folder.checkpoint, seconds, bench.stop, of=cell.id)
    try:
        reason = unmet(cell)
        if reason is None:
            _attack(bench, matrix, cell, folder, checkpoint)
        else:
            folder.write_skipped(reason)
    except (InversionInterrupted, KeyboardInterrupt, StorageError):
        folder.note("is interrupted")
        raise
    except (Exception, SystemExit) as error:
        # Whatever an attack raises, and a damaged image or observation, costs the cells that need it and
        # no others. Code from outside may even ask the process to exit.
        fail(folder, error, checkpoint.spent())
    finally:
        # When the record is written, so that a tracker can say what became of the cell.
        bench.tracker.close()
    bench.end(cell, folder)


def _attack(bench: Bench, matrix: str, cell: Cell, folder: CellFolder, checkpoint: Checkpoint) -> None:
    doubt = checkpoint.drop_if_doubtful()
    folder.note(
        f"starts again: {doubt}" if doubt else "goes on" if folder.checkpoint.exists() else "begins"
    )
    bench.tracker.begin(matrix, cell, folder)

    def hung(reason: str) -> None:
        folder.write_failed(reason, "", checkpoint.spent())

    limits = bench.limits
    prior = bench.prior(cell.prior)
    attack: Attack = cell.attack.build()
    observation = bench.rounds.observation(cell)
    with ends_when_hung(limits.seconds if limits.ends_process else None, hung):
        reconstruction = invert(
            attack,
            observation,
            prior,
            cell.attack_seed,
            threads=bench.threads,
            checkpoint=checkpoint,
            callbacks=[
                Listener(bench.display, cell.title),
                *bench.tracker.callbacks(),
                TimeLimit(limits.seconds, checkpoint.spent),
            ],
        )
    bench.finish(cell, folder, reconstruction, observation, checkpoint.spent())
