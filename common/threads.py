"""The number of threads of an operation on the CPU, on which the last bits of sums depend."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def operation_threads(count: int) -> Iterator[None]:
    """Let torch's operations use this many threads in the block, and as many as before after it."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
