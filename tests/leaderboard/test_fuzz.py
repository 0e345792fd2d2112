"""Malformed submissions: none runs, none writes, none lasts, and each is refused in one line.

GIFD_BENCH_FUZZ=2000 tries as many as that.
"""

from __future__ import annotations

import io
import os
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, Phase, event, given, settings
from hypothesis import strategies as st
from rich.console import Console

from gifd_bench.benchmark.matrix.component import Component
from gifd_bench.leaderboard.commands.verify import show
from gifd_bench.leaderboard.entries import Entries
from gifd_bench.leaderboard.errors import LeaderboardError
from gifd_bench.leaderboard.export import export
from gifd_bench.leaderboard.protocol import Protocol, read_protocol
from gifd_bench.leaderboard.reference import Reference, reference_of
from gifd_bench.leaderboard.submission.attempts import Attempt, Attempts
from gifd_bench.leaderboard.submission.folder import MOST_FILES, SubmissionFolder
from gifd_bench.leaderboard.submission.schema import About
from gifd_bench.leaderboard.submission.write import write_submission
from gifd_bench.leaderboard.verification.report import Standing
from gifd_bench.leaderboard.verification.verify import verify
from tests.leaderboard.helpers import ABOUT, assert_one_line, write_protocol
from tests.leaderboard.spoilers import FATAL, FIELDS, TENSORS, WHOLE, Case, Draw, Spoiler, spoil

EXAMPLES = int(os.environ.get("GIFD_BENCH_FUZZ", "300"))
SPOILERS = FIELDS + TENSORS + WHOLE
# Of one submission, in seconds of this process, on a busy machine too; and where it would not end at all.
MOST_SECONDS = 3.0
HANGS_AFTER = 60

QUICK = settings(
    deadline=None,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
ACTS = (
    "os.system",
    "os.exec",
    "os.fork",
    "os.forkpty",
    "os.posix_spawn",
    "os.spawn",
    "subprocess.Popen",
    "pty.spawn",
    "socket.connect",
    "socket.bind",
    "ctypes.dlopen",
    "pickle.find_class",
    "os.remove",
    "os.rmdir",
    "os.rename",
    "os.mkdir",
    "os.chmod",
    "os.chown",
    "os.link",
    "os.symlink",
    "os.truncate",
)


class Watch:
    """What this process does that reading files does not need; Python tells it (PEP 578)."""

    def __init__(self) -> None:
        self.seen: list[str] = []
        self.on = False
        sys.addaudithook(self._hear)

    def _hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self.on:
            return
        writes = event == "open" and _writes(arguments[2])
        # Type hints are compiled all the time.
        runs = event == "compile" and "submission" in str(arguments[1])
        if event in ACTS or writes or runs:
            self.seen.append(f"{event} {arguments}")

    @contextmanager
    def __call__(self) -> Iterator[list[str]]:
        self.seen, self.on = [], True
        try:
            yield self.seen
        finally:
            self.on = False


def _writes(flags: object) -> bool:
    return isinstance(flags, int) and bool(flags & (os.O_WRONLY | os.O_RDWR))


WATCH = Watch()


@dataclass(frozen=True, repr=False)
class Base:
    """A submission in order, of two images of 8x8 pixels."""

    protocol: Protocol
    reference: Reference
    file: dict[str, Any]
    results: dict[str, Any]
    tensors: dict[str, bytes]

    def case(self, root: Path) -> Case:
        (root / "outside").mkdir()
        (root / "outside" / "secret").write_text("a secret\n")
        return Case(root, deepcopy(self.file), deepcopy(self.results), dict(self.tensors))


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Base:
    folder = tmp_path_factory.mktemp("base")
    task = {"dataset": {"use": "photos", "size": 8}, "model": {"use": "convnet", "width": 1}}
    protocol = read_protocol(write_protocol(folder, tasks={"photos": task}, targets=[0, 1]))
    observations = export(protocol, folder / "observations", None)
    images = torch.rand(1, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    answer = Attempt(images, torch.zeros(1, dtype=torch.int64), 9, 1.5, 0)
    attack = Component("attack", "ig", "ig", {}).with_options({"iterations": 8})
    prior = {"name": "BigGAN", "training_data": "ImageNet"}
    about = About.model_validate({**ABOUT, "paper": "https://example.org", "prior": prior})
    names = list(protocol.rounds)
    made = write_submission(
        Attempts(attack, None, dict.fromkeys(names, answer)), observations, about, folder / "submission"
    )
    results = {name: result.model_dump(mode="json") for name, result in made.results.items()}
    reference = reference_of(protocol, observations.path, None)
    scores = verify(made, protocol, reference).scores
    for name, result in results.items():
        (quality,) = scores[name].metrics["psnr"] or [0.0]
        result["metrics"] = {"psnr": quality}
    return Base(
        protocol,
        reference,
        made.file.model_dump(mode="json"),
        results,
        {name: made.reconstruction(name).read_bytes() for name in names},
    )


@contextmanager
def soon() -> Iterator[None]:
    """Fails where something takes long, or waits for ever."""

    def late(*_: object) -> None:
        raise TimeoutError("it hangs")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(HANGS_AFTER)
    began = time.process_time()
    try:
        yield
        took = time.process_time() - began
        assert took < MOST_SECONDS, f"{took:.1f} s"
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def surroundings(case: Case) -> dict[str, tuple[int, int, int]]:
    """Everything near a submission: its kind, size and time of change."""
    found = {}
    for folder, folders, files in os.walk(case.root):
        for name in folders + files:
            path = os.path.join(folder, name)  # noqa: PTH118
            facts = os.lstat(path)
            found[path] = (facts.st_mode, facts.st_size, facts.st_mtime_ns)
    return found


def outcome(case: Case, base: Base) -> str:
    """What becomes of a submission, as the commands would have it: read, verify, show, accept."""
    before = surroundings(case)
    with soon(), WATCH() as acts:
        submission = SubmissionFolder(case.path)
        unread: LeaderboardError | None = None
        try:
            submission.file  # noqa: B018
        except LeaderboardError as error:
            unread = error
        verification = verify(submission, base.protocol, base.reference)
    assert not acts
    assert surroundings(case) == before
    for check in verification.checks:
        assert_one_line(check.detail)
    if unread is not None:
        assert_one_line(str(unread))
        assert verification.standing is Standing.REJECTED
    shown = io.StringIO()
    show(Console(file=shown, width=100), base.protocol, verification)
    assert shown.getvalue().replace("\n", "").isprintable()
    entries = Entries(case.root / "entries")
    if verification.standing is Standing.REJECTED:
        with pytest.raises(LeaderboardError) as refused:
            entries.add(submission, verification)
        assert_one_line(str(refused.value).replace(str(case.path), ""))
        assert surroundings(case) == before
        return verification.checks[-1].name
    entry = entries.add(submission, verification)
    for key, text in case.texts.items():
        assert getattr(entry.about, key) == text
    about = entry.about
    # The date is the board's, not the submission's.
    assert entry.path == entries.path / "tiny-v1" / about.attack / f"{about.version}_{entry.date}"
    assert entry.date == datetime.now(timezone.utc).date().isoformat()
    after = surroundings(case)
    inside = f"{entries.path}{os.sep}"
    assert {path for path in after if path != str(entries.path) and not path.startswith(inside)} == set(
        before
    )
    assert all(path.resolve().is_relative_to(entry.path) for path in entry.path.rglob("*"))
    return "accepted"


def spoiled(base: Base, spoilers: list[Spoiler], draw: Draw) -> str:
    # Short paths, and gone at once.
    with tempfile.TemporaryDirectory() as root:
        case = base.case(Path(root))
        spoil(case, spoilers, draw)
        found = outcome(case, base)
        assert not case.canary.exists()
    assert not Path("canary").exists()
    return found


def test_what_is_not_spoiled_is_accepted(base: Base) -> None:
    with tempfile.TemporaryDirectory() as root:
        case = base.case(Path(root))
        case.write()
        assert outcome(case, base) == "accepted"


@pytest.mark.parametrize("spoiler", SPOILERS, ids=lambda one: one.__name__)
def test_each_way_to_spoil_a_submission_alone(spoiler: Spoiler, base: Base) -> None:
    @settings(QUICK, max_examples=max(2, EXAMPLES // 4 // len(SPOILERS)), derandomize=EXAMPLES == 300)
    @given(st.data())
    def run(data: st.DataObject) -> None:
        found = spoiled(base, [spoiler], data.draw)
        assert spoiler not in FATAL or found != "accepted"

    run()


@pytest.mark.slow
@settings(QUICK, max_examples=EXAMPLES, derandomize=EXAMPLES == 300)
@given(st.lists(st.sampled_from(SPOILERS), min_size=1, max_size=3, unique=True), st.data())
def test_submissions_that_are_spoiled_in_many_ways(
    base: Base, spoilers: list[Spoiler], data: st.DataObject
) -> None:
    event(spoiled(base, spoilers, data.draw))


@pytest.mark.parametrize("folder", ["", "reconstructions"])
def test_more_files_than_are_counted_are_refused(folder: str, base: Base) -> None:
    with tempfile.TemporaryDirectory() as root:
        case = base.case(Path(root))
        case.write()
        for number in range(MOST_FILES + 1):
            os.link(case.path / "results.json", case.path / folder / f"{number}")
        assert outcome(case, base) == "files"
