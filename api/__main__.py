"""`python -m gifd_bench` is `gifd-bench`."""

from __future__ import annotations

from gifd_bench.benchmark.cli import main

if __name__ == "__main__":
    main()
