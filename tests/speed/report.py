"""How large a report may be. Run: `python -m tests.speed.report 10000 100000`.

Of each number of cells a report is written, opened in Chromium, and filtered. The cells are copies of a
hundred whose results no attack has made; two attacks under two defenses. The galleries, which lie on pages
of their own where there are so many pictures, are left out unless `--galleries` asks for them. Seconds are
wall time: of writing; from the address to a page that answers; and of the longest of three filters, until
what it leaves is laid out.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

from gifd_bench.benchmark.report import page
from gifd_bench.benchmark.report.page import write_report
from gifd_bench.benchmark.results.rows import Row, rows_of
from tests.benchmark.helpers import tiny_matrix
from tests.benchmark.report.helpers import Answer, finish
from tests.browser import Browser, started

TARGETS = 25
FILTERS = (("attack", "ig"), ("defense", "none"), ("attack", ""))
FILTER = """
const select = document.querySelector(`select[data-filter=${arguments[0]}]`);
const began = performance.now();
select.value = arguments[1];
select.dispatchEvent(new Event("change"));
document.body.getBoundingClientRect();
return (performance.now() - began) / 1000;
"""


def copies(rows: list[Row], count: int) -> Iterator[Row]:
    """So many rows: the same cells again, under other targets."""
    for number in range(count):
        row, turn = rows[number % len(rows)], number // len(rows)
        yield replace(row, id=f"{number:016x}", target=row.target + turn * TARGETS)


def open_page(browser: Browser, file: Path) -> float:
    """Seconds until the page answers."""
    began = time.monotonic()
    browser.open(file)
    while not browser.run("return 'ready' in document.documentElement.dataset"):
        time.sleep(0.01)
    return time.monotonic() - began


def measure(count: int, folder: Path, browser: Browser, galleries: bool) -> str:
    """A line on a report of so many cells."""
    matrix = tiny_matrix(folder, targets=list(range(TARGETS)))
    run = finish(matrix, folder / "out", lambda cell: Answer((10.0 + cell.target,)))
    rows = list(copies(rows_of(run), count))
    began = time.monotonic()
    with nullcontext() if galleries else patch.object(page, "sections_of", lambda *_: []):
        write_report(run, rows)
    written = time.monotonic() - began
    opened = open_page(browser, run.report)
    slowest = max(browser.run(FILTER, *chosen) for chosen in FILTERS)
    size = run.report.stat().st_size / 1e6
    nodes = browser.run("return document.querySelectorAll('*').length")
    return (
        f"{count:,} cells: {size:.1f} MB, {nodes:,} elements, written in {written:.1f} s, "
        f"opened in {opened:.2f} s, filtered in {slowest:.2f} s\n"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cells", type=int, nargs="+")
    parser.add_argument("--galleries", action="store_true")
    options = parser.parse_args()
    for count in options.cells:
        with TemporaryDirectory() as folder:
            (profile := Path(folder) / "chromium").mkdir()
            with started(profile) as browser:
                sys.stdout.write(measure(count, Path(folder), browser, options.galleries))
                sys.stdout.flush()


if __name__ == "__main__":
    main()
