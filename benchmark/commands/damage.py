"""What commands say of results that are damaged, or that nobody can check."""

from __future__ import annotations

from collections.abc import Sequence

from gifd_bench.benchmark.launch.status import damage_line
from gifd_bench.benchmark.results.record import DAMAGED
from gifd_bench.benchmark.results.rows import Row
from gifd_bench.benchmark.results.run_folder import RunFolder
from gifd_bench.common.errors import ExitStatus
from gifd_bench.common.terminal import say


def tell_damage(folder: RunFolder, rows: Sequence[Row]) -> ExitStatus:
    """Say, a line each, which cells are damaged; and once, where an older version kept no checksums.

    Returns:
        The exit status: `FAILED` where a cell is damaged.
    """
    lines = [damage_line(row.id, row.reason or "") for row in rows if row.status == DAMAGED]
    return tell_lines(folder, lines)


def tell_lines(folder: RunFolder, lines: Sequence[str]) -> ExitStatus:
    """The same, where the lines are known."""
    if not folder.sealed:
        say(f"gifd-bench: {folder.path}: an older version began it, without checksums: not verified")
    for line in lines:
        say(line)
    if lines:
        say(f"gifd-bench: {len(lines)} damaged; `gifd-bench run ... --retry damaged` makes them again")
    return ExitStatus.FAILED if lines else ExitStatus.DONE
