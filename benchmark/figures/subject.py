"""The subject of a figure: one task of a run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gifd_bench.benchmark.errors import BenchmarkError
from gifd_bench.benchmark.report.finding import Finding, finding_of
from gifd_bench.benchmark.report.naming import Names
from gifd_bench.benchmark.report.summary import Summary, summaries_of
from gifd_bench.benchmark.results.rows import Row
from gifd_bench.benchmark.results.run_folder import RunFolder


@dataclass(frozen=True)
class FigureSubject:
    """One task of a run, with its results.

    Attributes:
        run: the run folder.
        names: the names of its defenses and attacks.
        summaries: the summaries of the task that have scores.
        finding: the finding of the task.
    """

    run: RunFolder
    names: Names
    summaries: tuple[Summary, ...]
    finding: Finding


def subject_of(run: RunFolder, rows: Sequence[Row], task: str | None) -> FigureSubject:
    """The subject of a figure.

    Args:
        run: the run folder.
        rows: the rows of the run.
        task: the label of the task; `None` for the only one.

    Raises:
        BenchmarkError: there is no such task, there are several to choose from, or it has no scores.
    """
    tasks = list(dict.fromkeys(row.task for row in rows))
    if task is None and len(tasks) > 1:
        raise BenchmarkError(f"{run.path}: has several tasks; choose one by --task: {', '.join(tasks)}")
    chosen = task or tasks[0]
    if chosen not in tasks:
        raise BenchmarkError(f"{run.path}: has no task '{chosen}'; there are: {', '.join(tasks)}")
    mine = [row for row in rows if row.task == chosen]
    names = Names.of(mine)
    summaries = [summary for summary in summaries_of(mine) if summary.group.done]
    finding = finding_of(summaries, names)
    if finding is None:
        raise BenchmarkError(
            f"{run.path}: no cell of '{chosen}' has scores yet: gifd-bench status {run.path}"
        )
    return FigureSubject(run, names, tuple(summaries), finding)
