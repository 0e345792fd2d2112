"""The system calls that the sandbox may make, as filters for the kernel: what is not listed is denied.

Namespaces hide files, processes and the network, and resource limits hold for one process. A list of what
is needed also denies what a list of dangers would miss, and whatever the next kernel adds.
"""

from __future__ import annotations

import errno
import os
from typing import Any

from gifd_bench.leaderboard.rerun.errors import RerunRefused

INSTALL = "install libseccomp (apt-get install libseccomp2)"

# What Python, torch, numpy and OpenMP's one thread need once they are loaded. Nothing here makes a process,
# a thread, a socket, a namespace or memory that no limit of a process counts, and nothing writes to a file
# that was not open. `tgkill` is how a process aborts itself.
CALLS = (
    # Files that there are.
    *("read", "readv", "pread64", "preadv", "write", "writev", "lseek", "close", "close_range"),
    *("open", "openat", "openat2", "access", "faccessat", "faccessat2", "stat", "lstat", "fstat"),
    *("newfstatat", "statx", "statfs", "fstatfs", "getdents64", "readlink", "readlinkat", "getcwd"),
    *("dup", "dup2", "dup3", "fcntl", "poll", "ppoll", "fadvise64", "umask"),
    # Memory.
    *("brk", "mmap", "munmap", "mremap", "mprotect", "madvise", "mincore"),
    # Locks, signals and the end.
    *("futex", "set_robust_list", "get_robust_list", "rseq", "membarrier", "sched_yield"),
    *("rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "sigaltstack", "restart_syscall"),
    *("exit", "exit_group", "tgkill"),
    # What time it is, and who one is.
    *("clock_gettime", "clock_getres", "clock_nanosleep", "nanosleep", "gettimeofday", "time", "times"),
    *("getpid", "getppid", "gettid", "getuid", "geteuid", "getgid", "getegid", "getgroups", "uname"),
    *("sysinfo", "getrandom", "getrusage", "getrlimit", "getcpu", "sched_getaffinity", "sched_getparam"),
    *("sched_getscheduler", "sched_get_priority_max", "sched_get_priority_min"),
    *("arch_prctl", "set_tid_address"),
)
# Whether a file is a terminal, and that it is closed by a new program.
IOCTLS = (0x5401, 0x5413, 0x5451)
# Until the submitted code runs: to become Python, to be handed jobs, to wait for the process of each, to
# limit itself, and to take the stricter list. Bubblewrap waits under this one.
AT_START = (
    *("execve", "wait4", "waitid", "prctl", "seccomp", "prlimit64", "setrlimit"),
    *("recvmsg", "getsockname"),
)
# Until then, `clone` may also make a process; these are the flags of a fork: the signal at its end, and
# where its id is kept. Any other flag makes a thread or a namespace.
CLONE = "clone"
OF_A_FORK = 0xFF | 0x00200000 | 0x01000000


def programs() -> tuple[bytes, bytes]:
    """The filter with which bubblewrap starts Python, and the stricter one for the submitted code.

    Each is an array of the kernel's `sock_filter`: calls that are not allowed fail with EPERM.

    Raises:
        RerunRefused: there is no libseccomp, or it does not know this machine.
    """
    try:
        # It looks for the library when it is imported.
        import pyseccomp
    except (ImportError, RuntimeError, OSError) as error:
        raise RerunRefused(f"rerun: there is no filter of system calls here: {INSTALL}") from error
    return _program(pyseccomp, at_start=True), _program(pyseccomp, at_start=False)


def _program(seccomp: Any, at_start: bool) -> bytes:
    filter_ = seccomp.SyscallFilter(defaction=seccomp.ERRNO(errno.EPERM))
    for name in (*CALLS, *(AT_START if at_start else ())):
        # Some machines have no `open`, some libraries know no `rseq`; what is left out is denied.
        if _is_known(seccomp, name):
            filter_.add_rule(seccomp.ALLOW, name)
    for request in IOCTLS:
        filter_.add_rule(seccomp.ALLOW, "ioctl", seccomp.Arg(1, seccomp.EQ, request))
    if at_start:
        others = seccomp.Arg(0, seccomp.MASKED_EQ, ~OF_A_FORK & (1 << 64) - 1, 0)
        filter_.add_rule(seccomp.ALLOW, CLONE, others)
    else:
        # Limits may be read, but not set.
        filter_.add_rule(seccomp.ALLOW, "prlimit64", seccomp.Arg(2, seccomp.EQ, 0))
    descriptor = os.memfd_create("seccomp")
    with os.fdopen(descriptor, "w+b") as file:
        filter_.export_bpf(file)
        file.seek(0)
        return file.read()


def _is_known(seccomp: Any, name: str) -> bool:
    try:
        return int(seccomp.resolve_syscall(seccomp.system_arch(), name)) >= 0
    except (OSError, ValueError):
        return False
