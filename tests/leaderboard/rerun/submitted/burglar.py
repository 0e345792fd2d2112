"""An attack that tries every way out of the sandbox that we could think of, and says how each ended."""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import resource
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from gifd_bench.benchmark.attacks.ig import IG
from gifd_bench.benchmark.attacks.pixel_options import IGOptions
from gifd_bench.tasks.datasets.photos import PHOTOGRAPHS, Photos

NEW_USER_NAMESPACE = 0x10000000
MEBIBYTE = 1 << 20
# By their numbers: mq_open, io_setup, kcmp, userfaultfd, execveat, pipe2 and epoll_create1; then, alike on
# all machines, io_uring_setup, pidfd_open, clone3, memfd_secret, statmount, listmount and a future one.
CALLS = {"x86_64": (240, 206, 312, 323, 322, 293, 291), "aarch64": (180, 0, 272, 282, 281, 59, 20)}
EVERYWHERE = (425, 434, 435, 447, 457, 458, 900)


@dataclass(frozen=True, kw_only=True)
class BurglarOptions(IGOptions):
    """Where to try.

    Attributes:
        data: a folder that holds secret.txt.
        port: where the test listens.
        secret: a word that the environment of the test holds.
    """

    data: str
    port: int
    secret: str


# Four GiB, page by page, in a program whose memory nobody limited.
GREEDY = "held = bytearray(4 << 30); held[::4096] = bytes(1 << 20)"


class Burglar(IG):
    """Tries every way out while it is made."""

    Options: ClassVar[type[BurglarOptions]] = BurglarOptions

    def __init__(self, options: BurglarOptions) -> None:
        super().__init__(options)
        self.data, self.port, self.secret = Path(options.data), options.port, options.secret
        acts: dict[str, Callable[[], object]] = {
            "data": lambda: (self.data / "secret.txt").read_text(),
            "beside": lambda: list(self.data.parent.iterdir()),
            "variable": lambda: os.environ["GIFD_BENCH_DATA"],
            "environ": self.find_secret,
            "skimage": lambda: Photos(32).image(0),
            "sklearn": lambda: Photos(32).image(5),
            "walk": find_photographs,
            "board": lambda: __import__("gifd_bench.leaderboard"),
            "folder": list_folder,
            "connect": lambda: socket.create_connection(("127.0.0.1", self.port), 2),
            "send": lambda: socket.socket(type=socket.SOCK_DGRAM).sendto(b"x", ("192.0.2.1", 9)),
            "fork": os.fork,
            "spawn": lambda: subprocess.run([sys.executable, "-c", ""]),
            "become": lambda: os.execv(sys.executable, [sys.executable, "-c", GREEDY]),
            "cmdline": lambda: Path("/proc/1/cmdline").read_bytes(),
            "mountinfo": lambda: Path("/proc/self/mountinfo").read_text(),
            "arguments": self.find_number,
            "signal": lambda: os.kill(1, 0),
            "thread": lambda: threading.Thread(target=print).start(),
            "unshare": lambda: system_call("unshare", NEW_USER_NAMESPACE),
            "write": write_anywhere,
            "kernel": lambda: os.open("/proc/sys/kernel/core_pattern", os.O_WRONLY),
            "memfd": lambda: os.memfd_create("x"),
            "shm": lambda: system_call("shmget", 0, MEBIBYTE, 0o1600),
            "limits": lambda: resource.setrlimit(resource.RLIMIT_AS, (-1, -1)),
            "families": open_sockets,
            "calls": call_the_kernel,
        }
        raise RuntimeError(" ".join(f"{name}={ending(act)}" for name, act in acts.items()))

    def find_number(self) -> None:
        """The observation's number, where it stands on the keeper's side."""
        words = (*sys.argv, *sys.orig_argv, *os.environ.values(), str(Path.cwd()), __file__)
        if not any("observation-0173" in word for word in words):
            raise LookupError

    def find_secret(self) -> None:
        """Any process here whose environment has it."""
        for file in Path("/proc").glob("[0-9]*/environ"):
            if self.secret.encode() in file.read_bytes():
                return
        raise LookupError


def ending(act: Callable[[], object]) -> str:
    """The name of the error, in short, or that there was none."""
    try:
        act()
    except Exception as error:
        return type(error).__name__.removesuffix("Error")
    return "DONE"


def find_photographs() -> None:
    of_board = {"verification.json", "submission.yaml", "photos-v1.index.json"}
    names = {file for _, _, file in PHOTOGRAPHS} | {"secret.txt"} | of_board
    for folder, _, files in os.walk("/"):
        if not folder.startswith("/proc") and names & set(files):
            return
    raise LookupError


def list_folder() -> None:
    names = {path.name for path in Path().iterdir()}
    if names <= {"packages", "child.py", "observation.safetensors", "attack.py"}:
        raise LookupError


def write_anywhere() -> None:
    packages = Path("/sandbox/packages/gifd_bench")
    folders = [*Path("/").iterdir(), *Path("/dev").iterdir(), *packages.iterdir(), Path(sys.prefix)]
    files = [
        Path("/sandbox/attack.py"),
        Path("/sandbox/child.py"),
        Path("/sandbox/observation.safetensors"),
    ]
    for place in [path / "x" for path in folders if path.is_dir()] + files:
        try:
            os.close(os.open(place, os.O_WRONLY | os.O_CREAT))
        except OSError:
            continue
        return
    raise LookupError


def open_sockets() -> None:
    """Of which a network namespace holds back only some: that of virtual machines is none of them."""
    for family in (socket.AF_VSOCK, socket.AF_NETLINK, socket.AF_UNIX, socket.AF_INET6):
        try:
            socket.socket(family, socket.SOCK_DGRAM).close()
        except PermissionError:
            continue
        except OSError:
            return
        return
    raise PermissionError


def call_the_kernel() -> None:
    """What a list of the obvious leaves out; answers other than that it is not permitted are a way in."""
    for number in (*CALLS.get(platform.machine(), ()), *EVERYWHERE):
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.syscall(number, 0, 0, 0, 0, 0) >= 0 or ctypes.get_errno() != errno.EPERM:
            return
    raise PermissionError


def system_call(name: str, *arguments: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if getattr(libc, name)(*arguments) < 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
