"""The filter of system calls, as the kernel would read it."""

from __future__ import annotations

import errno
import struct

import pytest

from gifd_bench.leaderboard.rerun.errors import RerunRefused
from gifd_bench.leaderboard.rerun.seccomp import ARCHITECTURES, program

ALLOW, KILL, EPERM = 0x7FFF0000, 0x80000000, 0x00050000 | errno.EPERM


def verdict(filter_: bytes, audit: int, call: int) -> int:
    """A slow reading of classic BPF (struct sock_filter: code, jt, jf, k)."""
    lines = list(struct.iter_unpack("=HBBI", filter_))
    data = {0: call, 4: audit}
    place = accumulator = 0
    while True:
        code, if_true, if_false, value = lines[place]
        place += 1
        if code == 0x20:
            accumulator = data[value]
        elif code == 0x15:
            place += if_true if accumulator == value else if_false
        elif code == 0x35:
            place += if_true if accumulator >= value else if_false
        else:
            assert code == 0x06
            return int(value)


@pytest.mark.parametrize("machine", ARCHITECTURES)
def test_the_filter_denies_exactly_the_calls_that_it_lists(machine: str) -> None:
    architecture = ARCHITECTURES[machine]
    denied = {c for c in range(600) if verdict(program(machine), architecture.audit, c) == EPERM}
    assert denied == set(architecture.calls.values())
    allowed = {c for c in range(600) if verdict(program(machine), architecture.audit, c) == ALLOW}
    assert denied | allowed == set(range(600))


def test_calls_by_another_interface_of_the_machine_do_not_get_round_it() -> None:
    filter_ = program("x86_64")
    x32_fork = 0x40000000 | 57
    assert verdict(filter_, ARCHITECTURES["x86_64"].audit, x32_fork) == EPERM
    i386 = 0x40000003
    assert verdict(filter_, i386, 1) == KILL


def test_a_machine_whose_calls_are_not_known_is_refused() -> None:
    with pytest.raises(RerunRefused, match="no sandbox for riscv64"):
        program("riscv64")
