"""The system calls that the sandbox does without, as a filter for the kernel.

Namespaces hide files, processes and the network, and resource limits bound one process. What is left is
what makes further processes, and memory that belongs to none. `RLIMIT_NPROC` would be the simpler way to
forbid the first, but the kernel does not hold root to it, nor to a user's count of one namespace before
Linux 5.14.
"""

from __future__ import annotations

import errno
import platform
import struct
from dataclasses import dataclass

from gifd_bench.leaderboard.rerun.errors import RerunRefused

# linux/bpf_common.h and linux/seccomp.h.
LOAD, IF_EQUAL, IF_AT_LEAST, RETURN = 0x20, 0x15, 0x35, 0x06
NUMBER_AT, ARCHITECTURE_AT = 0, 4
ALLOW, KILL, DENY = 0x7FFF0000, 0x80000000, 0x00050000 | errno.EPERM


@dataclass(frozen=True)
class Architecture:
    """A kind of machine.

    Attributes:
        audit: its number in linux/audit.h.
        calls: numbers of the system calls that are denied, by name.
        most: the number from which on calls belong to another interface of the same machine (x32), and
            are denied too.
    """

    audit: int
    calls: dict[str, int]
    most: int | None = None


# By `platform.machine()`. Processes and threads; namespaces; other processes' memory; memory that no limit
# of a process counts; the kernel's keys, which all processes of a user share; queues that work in threads
# of the kernel; sockets of every family (that of virtual machines reaches out of a network namespace); what
# watches or compares other processes; mounts.
ARCHITECTURES = {
    "x86_64": Architecture(
        0xC000003E,
        {
            "clone": 56,
            "fork": 57,
            "vfork": 58,
            "clone3": 435,
            "unshare": 272,
            "setns": 308,
            "ptrace": 101,
            "process_vm_readv": 310,
            "process_vm_writev": 311,
            "shmget": 29,
            "semget": 64,
            "msgget": 68,
            "memfd_create": 319,
            "memfd_secret": 447,
            "add_key": 248,
            "request_key": 249,
            "keyctl": 250,
            "io_uring_setup": 425,
            "execveat": 322,
            "socket": 41,
            "socketpair": 53,
            "mq_open": 240,
            "io_setup": 206,
            "kcmp": 312,
            "userfaultfd": 323,
            "bpf": 321,
            "perf_event_open": 298,
            "pidfd_getfd": 438,
            "process_madvise": 440,
            "mount": 165,
            "open_by_handle_at": 304,
            "fanotify_init": 300,
        },
        most=0x40000000,
    ),
    "aarch64": Architecture(
        0xC00000B7,
        {
            "clone": 220,
            "clone3": 435,
            "unshare": 97,
            "setns": 268,
            "ptrace": 117,
            "process_vm_readv": 270,
            "process_vm_writev": 271,
            "shmget": 194,
            "semget": 190,
            "msgget": 186,
            "memfd_create": 279,
            "memfd_secret": 447,
            "add_key": 217,
            "request_key": 218,
            "keyctl": 219,
            "io_uring_setup": 425,
            "execveat": 281,
            "socket": 198,
            "socketpair": 199,
            "mq_open": 180,
            "io_setup": 0,
            "kcmp": 272,
            "userfaultfd": 282,
            "bpf": 280,
            "perf_event_open": 241,
            "pidfd_getfd": 438,
            "process_madvise": 440,
            "mount": 40,
            "open_by_handle_at": 265,
            "fanotify_init": 262,
        },
    ),
}


def program(machine: str | None = None) -> bytes:
    """The filter, as an array of the kernel's `sock_filter`: denied calls fail with EPERM.

    Args:
        machine: as `platform.machine` names it; `None` for this one.

    Raises:
        RerunRefused: the numbers of its system calls are not known here.
    """
    machine = machine or platform.machine()
    if machine not in ARCHITECTURES:
        raise RerunRefused(f"rerun: no sandbox for {machine}, only for {' and '.join(ARCHITECTURES)}")
    architecture = ARCHITECTURES[machine]
    tests = [(IF_EQUAL, number) for number in architecture.calls.values()]
    if architecture.most is not None:
        tests.append((IF_AT_LEAST, architecture.most))
    lines = [
        _line(LOAD, ARCHITECTURE_AT),
        _line(IF_EQUAL, architecture.audit, if_true=1),
        _line(RETURN, KILL),
        _line(LOAD, NUMBER_AT),
        # Each jumps over the tests that follow it and ALLOW, to DENY.
        *(_line(test, number, if_true=len(tests) - place) for place, (test, number) in enumerate(tests)),
        _line(RETURN, ALLOW),
        _line(RETURN, DENY),
    ]
    return b"".join(lines)


def _line(code: int, value: int, if_true: int = 0) -> bytes:
    return struct.pack("=HBBI", code, if_true, 0, value)
