"""The filters of system calls, as the kernel reads them."""

from __future__ import annotations

import subprocess
import sys

import pytest

from gifd_bench.leaderboard.rerun import seccomp
from gifd_bench.leaderboard.rerun.errors import RerunRefused
from gifd_bench.leaderboard.rerun.seccomp import CALLS, programs

# What a process may still do under the filter, and how the rest ends.
SCRIPT = """
import ctypes, os, resource, socket, sys, threading
from gifd_bench.leaderboard.rerun import child
child._forbid(bytes.fromhex(sys.argv[1]))
def ending(act):
    try:
        act()
    except Exception as error:
        return type(error).__name__
    return "done"
def fork():
    if os.fork() == 0:
        os._exit(0)
libc = ctypes.CDLL(None, use_errno=True)
acts = {
    "read": lambda: open(child.__file__).read(),
    "random": lambda: os.urandom(4),
    "limit": lambda: resource.getrlimit(resource.RLIMIT_AS),
    "raise": lambda: resource.setrlimit(resource.RLIMIT_CPU, (100, 100)),
    "become": lambda: os.execv(sys.executable, [sys.executable, "-c", ""]),
    "fork": fork,
    "thread": threading.Thread(target=int).start,
    "vsock": lambda: socket.socket(40, socket.SOCK_STREAM),
    "netlink": lambda: socket.socket(16, socket.SOCK_RAW),
    "pair": socket.socketpair,
    "remove": lambda: os.unlink("/nowhere"),
    "terminal": lambda: os.isatty(0),
}
print({name: ending(act) for name, act in acts.items()})
# io_uring_setup, pidfd_open, clone3, memfd_secret, and one that no kernel has yet.
print([(libc.syscall(number, 0, 0, 0, 0), ctypes.get_errno()) for number in (425, 434, 435, 447, 900)])
"""
DENIED = "PermissionError"


@pytest.fixture(autouse=True)
def library() -> None:
    """Skips the test where there is no libseccomp."""
    try:
        programs()
    except RerunRefused as error:
        pytest.skip(str(error))


def test_only_what_is_listed_is_allowed() -> None:
    command = [sys.executable, "-c", SCRIPT, programs()[1].hex()]
    said = subprocess.run(command, capture_output=True, check=True, text=True).stdout.splitlines()
    assert said[0] == str(
        {
            "read": "done",
            "random": "done",
            "limit": "done",
            "raise": "ValueError",
            "become": DENIED,
            "fork": DENIED,
            "thread": "RuntimeError",
            "vsock": DENIED,
            "netlink": DENIED,
            "pair": DENIED,
            "remove": DENIED,
            "terminal": "done",
        }
    )
    assert said[1] == str([(-1, 1)] * 5)


def test_at_start_a_process_may_be_made_but_no_thread_and_no_socket() -> None:
    script = SCRIPT.replace('    "become"', '    # "become"')
    command = [sys.executable, "-c", script, programs()[0].hex()]
    said = subprocess.run(command, capture_output=True, check=True, text=True).stdout.splitlines()
    for part in ("'fork': 'done'", "'thread': 'RuntimeError'", f"'pair': '{DENIED}'"):
        assert part in said[0]
    assert said[1] == str([(-1, 1)] * 5)


def test_the_list_makes_nothing() -> None:
    """No process, program, socket, mount or file, and nothing of another process."""
    made = (
        "fork",
        "clone",
        "exec",
        "socket",
        "mount",
        "mkdir",
        "link",
        "ptrace",
        "pidfd",
        "io_",
        "unshare",
    )
    assert not [name for name in CALLS if any(word in name for word in made) and "readlink" not in name]


def test_calls_that_a_library_does_not_know_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    before = programs()
    monkeypatch.setattr(seccomp, "CALLS", (*CALLS, "no_such_call"))
    assert programs() == before


def test_without_the_library_nothing_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyseccomp", None)
    with pytest.raises(RerunRefused, match="install libseccomp"):
        programs()
