"""Workers on this machine."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable

from gifd_bench.benchmark.errors import BenchmarkError
from gifd_bench.benchmark.launch.status import LONGEST_PAUSE, RunStatus, StatusReader
from gifd_bench.benchmark.launch.worker import WorkerSettings
from gifd_bench.benchmark.results.claims import DEATHS
from gifd_bench.benchmark.results.run_folder import RunFolder
from gifd_bench.common.errors import ExitStatus

# The least number of seconds between two looks at the folder.
POLL = 0.5
# How many workers of one job may die in a row without any cell getting further. A cell that kills whoever
# runs it is blamed after `DEATHS` of them and ends as failed, so that more than these are not its fault.
FRUITLESS = DEATHS + 1
# How many bytes of a worker's standard error are read when it has ended.
TAIL = 4096


class Worker:
    """A process that runs cells.

    Its standard error goes to a file, because a pipe that nobody reads until the end blocks the process
    that fills it.

    Args:
        command: the command line, from `WorkerSettings.command`.
        threads: threads of its numerical libraries.
    """

    def __init__(self, command: list[str], threads: int) -> None:
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115, closed in end()
        self.process = subprocess.Popen(
            command,
            env={**os.environ, "OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)},
            stdout=subprocess.DEVNULL,
            stderr=self._errors,
            # Ctrl-C is for the launcher alone, which then asks its workers to stop.
            start_new_session=True,
        )

    def end(self) -> str:
        """Check a worker that has ended, once.

        Returns:
            The last line that it wrote on standard error; empty if it wrote nothing.

        Raises:
            BenchmarkError: it says that the input of the user is wrong.
        """
        with self._errors as errors:
            errors.seek(max(0, errors.seek(0, os.SEEK_END) - TAIL))
            line = errors.read().decode(errors="replace").strip().rpartition("\n")[2]
        if self.process.returncode == ExitStatus.USER_ERROR:
            raise BenchmarkError(
                line.removeprefix("gifd-bench: ") or "a worker ended without an error message"
            )
        return line


class LocalLauncher:
    """Starts a number of workers, and new ones for those that die, until every cell has ended.

    Args:
        jobs: the number of workers at a time.
        settings: the settings of each.
    """

    def __init__(self, jobs: int, settings: WorkerSettings) -> None:
        if jobs < 1:
            raise BenchmarkError(f"--jobs must be at least 1, not {jobs}")
        self.jobs, self.settings = jobs, settings

    def run(self, run: RunFolder, show: Callable[[RunStatus], None], stop: Callable[[], bool]) -> bool:
        """Run every cell.

        Args:
            run: the run folder, opened for its matrix.
            show: is called with the status twice a second, or less often if there are very many cells.
            stop: is called twice a second; if it returns true, the workers write their checkpoints and end.

        Returns:
            Whether all cells have ended; false after an interruption.

        Raises:
            BenchmarkError: a worker says that the input of the user is wrong, or no worker can be started.
        """
        reader = StatusReader(run)
        workers: list[Worker] = []
        fruitless, idle, pause_until = 0, 0, 0.0
        furthest: dict[str, int] = {}
        ended_at_last_start = -1
        try:
            while True:
                status = reader.read()
                show(status)
                if stop():
                    return status.ended == status.cells
                ended_before = status.ended
                if _got_further(status, furthest):
                    fruitless = 0
                for worker in [w for w in workers if w.process.poll() is not None]:
                    workers.remove(worker)
                    said = worker.end()
                    fruitless = 0 if worker.process.returncode == 0 else fruitless + 1
                    # One that found nothing to do leaves the last cells to whoever else runs them: the
                    # next one is started later and later.
                    idle = idle + 1 if ended_before == ended_at_last_start else 0
                    pause_until = time.monotonic() + min(LONGEST_PAUSE, POLL * (2.0**idle - 1))
                    if fruitless > FRUITLESS * self.jobs:
                        raise BenchmarkError(
                            "workers die again and again; see log.txt in the cells' folders; the last one "
                            f"said: {said or 'nothing'}"
                        )
                left = status.cells - ended_before
                if not left and not workers:
                    return True
                if time.monotonic() >= pause_until:
                    packs = -(-left // self.settings.pack)
                    while left and len(workers) < min(self.jobs, packs):
                        command = [*self.settings.command(run.path), f"--parent={os.getpid()}"]
                        workers.append(Worker(command, run.threads))
                        ended_at_last_start = ended_before
                # Looking takes no more than a hundredth of the time.
                _sleep(reader.pause(POLL), workers, stop)
        finally:
            _end(workers)
            show(reader.read())


def _got_further(status: RunStatus, furthest: dict[str, int]) -> bool:
    """Whether a cell has ended, or has reached an iteration that no process reached before.

    Args:
        status: the present status.
        furthest: the highest number so far of each running cell, by title, and of ended cells; it is
            updated.
    """
    seen = {running.title: running.iteration for running in status.running} | {"": status.ended}
    further = {title: n for title, n in seen.items() if n > furthest.get(title, 0)}
    furthest.update(further)
    return bool(further)


def _sleep(seconds: float, workers: list[Worker], stop: Callable[[], bool]) -> None:
    """Sleep, but not after a worker has ended or somebody asks to stop."""
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        time.sleep(min(POLL, left))
        if stop() or any(worker.process.poll() is not None for worker in workers):
            return


def processors() -> int:
    """The number of processors that this process may use."""
    return len(os.sched_getaffinity(0))


def _end(workers: list[Worker]) -> None:
    """Ask the workers to stop, and wait for their checkpoints."""
    processes = [worker.process for worker in workers]
    for process in processes:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
    for process in processes:
        try:
            process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    for worker in workers:
        worker.end()
