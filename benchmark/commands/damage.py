"""What commands report about results that are damaged, or that cannot be checked."""

from __future__ import annotations

from collections.abc import Sequence

from gifd_bench.benchmark.launch.status import damage_line
from gifd_bench.benchmark.results.record import DAMAGED
from gifd_bench.benchmark.results.rows import Row
from gifd_bench.benchmark.results.run_folder import RunFolder
from gifd_bench.common.errors import ExitStatus
from gifd_bench.common.terminal import say


def tell_damage(folder: RunFolder, rows: Sequence[Row]) -> ExitStatus:
    """Report each damaged cell in one line and, once, that an older version kept no checksums.

    Returns:
        The exit status: `FAILED` if a cell is damaged.
    """
    lines = [damage_line(row.id, row.reason or "") for row in rows if row.status == DAMAGED]
    return tell_lines(folder, lines)


def tell_lines(folder: RunFolder, lines: Sequence[str]) -> ExitStatus:
    """As `tell_damage`, if the lines are known."""
    if not folder.sealed:
        say(f"gifd-bench: {folder.path}: begun by an older version, without checksums: not verified")
    for line in lines:
        say(line)
    if lines:
        say(f"gifd-bench: {len(lines)} damaged; `gifd-bench run ... --retry damaged` makes them again")
    return ExitStatus.FAILED if lines else ExitStatus.DONE
