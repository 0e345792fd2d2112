"""Whole reruns: most of them start Python and torch in a sandbox, which takes seconds."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import psutil
import pytest
import torch

from gifd_bench.benchmark.inversion.reconstruction import Reconstruction
from gifd_bench.benchmark.invert import invert
from gifd_bench.benchmark.matrix.component import Component
from gifd_bench.leaderboard.rerun import child
from gifd_bench.leaderboard.rerun.answer import RerunAnswer
from gifd_bench.leaderboard.rerun.errors import RerunFailed, RerunImpossible, RerunRefused
from gifd_bench.leaderboard.rerun.job import RerunJob, RerunLimits, Submitted
from gifd_bench.leaderboard.rerun.runner import SandboxRunner
from gifd_bench.priors.generators.resnet import ResNetPrior, save_generator
from gifd_bench.tasks.observation import Observation
from gifd_bench.tasks.observation_file import save_observation
from tests.rounds import make_round

SUBMITTED = Path(__file__).parent / "submitted"
QUICK = RerunLimits(seconds=60, memory_gib=1.0)


class Order(NamedTuple):
    """What is attacked with, and how."""

    submitted: Submitted
    job: RerunJob


def order_of(
    module: str, name: str, prior: dict[str, Any] | None = None, most: int = 100, **options: Any
) -> Order:
    """A class of a file in `SUBMITTED`."""
    attack = {"use": f"attack.py:{name}", "label": module, "options": options}
    return Order(Submitted(prior, SUBMITTED / f"{module}.py"), RerunJob(attack, seed=3, most=most))


def attack_again(observation: Path, order: Order, limits: RerunLimits) -> RerunAnswer:
    """An attack in a sandbox that is ended after it."""
    with closing(SandboxRunner(order.submitted, limits)) as runner:
        return runner.attack(observation, order.job)


def assert_same(answer: RerunAnswer, here: Reconstruction) -> None:
    assert torch.equal(answer.images, here.images)
    assert torch.equal(answer.labels, here.labels)
    assert answer.gradient_evaluations == here.gradient_evaluations
    earlier = [one for one in here.anytime if one.gradient_evaluations < here.gradient_evaluations]
    assert len(earlier) > 1
    for found, kept in zip(answer.earlier, earlier, strict=True):
        assert found.gradient_evaluations == kept.gradient_evaluations
        assert torch.equal(found.images, kept.images)


@pytest.mark.slow
@pytest.mark.usefixtures("sandbox")
def test_a_rerun_of_a_registered_attack_with_a_prior_from_a_file_gives_the_same_bytes_as_one_here(
    observation: Observation, observation_file: Path, tiny_prior: ResNetPrior, tmp_path: Path
) -> None:
    weights = tmp_path / "generator.safetensors"
    save_generator(weights, tiny_prior.generator)
    attack = Component("attack", "gifd", "gifd", {}).with_options({"iterations": [1, 1, 1, 1, 1]})
    prior = Component("prior", "generator_file", "mine", {"weights": str(weights)})
    answer = attack_again(
        observation_file, Order(Submitted(prior.config()), RerunJob(attack.config(), 3, 100)), QUICK
    )
    assert_same(answer, invert(attack.build(), observation, prior.build(), 3, accelerator="cpu"))
    assert 0 < answer.seconds < QUICK.seconds


@pytest.mark.slow
@pytest.mark.usefixtures("sandbox")
def test_a_rerun_of_a_submitted_file_gives_the_same_bytes_as_one_here(
    observation: Observation, observation_file: Path
) -> None:
    options: dict[str, Any] = {"weight": 0.2, "iterations": 3}
    answer = attack_again(observation_file, order_of("honest", "Smooth", **options), QUICK)
    here = Component("attack", f"{SUBMITTED}/honest.py:Smooth", "honest", options).build()
    try:
        assert_same(answer, invert(here, observation, None, 3, accelerator="cpu"))
    finally:
        torch.set_num_threads(1)


# What each act of `submitted/burglar.py` must end with.
ENDINGS = {
    "data": "FileNotFound",
    "beside": "FileNotFound",
    "variable": "Key",
    "environ": "Lookup",
    "skimage": "FileNotFound",
    "sklearn": "FileNotFound",
    "walk": "Lookup",
    "board": "ModuleNotFound",
    "folder": "Lookup",
    "connect": "Permission",
    "send": "Permission",
    "fork": "Permission",
    "spawn": "Permission",
    "become": "Permission",
    "cmdline": "FileNotFound",
    "mountinfo": "FileNotFound",
    "arguments": "Lookup",
    "signal": "Permission",
    "thread": "Runtime",
    "unshare": "Permission",
    "write": "Lookup",
    "kernel": "FileNotFound",
    "memfd": "Permission",
    "shm": "Permission",
    "limits": "Value",
    "families": "Permission",
    "calls": "Permission",
}


@pytest.fixture(scope="module")
def burglary(sandbox: None, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """How the acts ended, by name: nobody calls at the test's own door."""
    folder = tmp_path_factory.mktemp("home")
    data = folder / "data"
    data.mkdir()
    (data / "secret.txt").write_text("the private images")
    save_observation(make_round()[0], folder / "observation-0173.safetensors")
    with pytest.MonkeyPatch.context() as patch, socket.create_server(("127.0.0.1", 0)) as server:
        patch.setenv("GIFD_BENCH_DATA", str(data))
        patch.setenv("API_KEY", "xyzzy-1234")
        port = server.getsockname()[1]
        order = order_of("burglar", "Burglar", data=str(data), port=port, secret="xyzzy-1234")
        with pytest.raises(RerunFailed) as failed:
            attack_again(folder / "observation-0173.safetensors", order, QUICK)
        assert str(failed.value).startswith("the attack raised RuntimeError: data=")
        server.setblocking(False)
        with pytest.raises(BlockingIOError):
            server.accept()
    ended = dict(word.split("=") for word in str(failed.value).split() if "=" in word)
    assert sorted(path.name for path in data.iterdir()) == ["secret.txt"]
    return ended


@pytest.mark.parametrize("act", ENDINGS)
def test_a_submitted_class_gets_nowhere(burglary: dict[str, str], act: str) -> None:
    assert burglary[act] == ENDINGS[act]


@pytest.mark.slow
@pytest.mark.usefixtures("sandbox")
def test_a_class_that_fills_memory_fails_at_the_limit(observation_file: Path) -> None:
    limits = RerunLimits(seconds=60, memory_gib=0.5)
    with pytest.raises(RerunFailed, match=r"raised MemoryError: \d+ MiB shared, \d+ MiB own") as failed:
        attack_again(observation_file, order_of("glutton", "Glutton"), limits)
    for word in str(failed.value).split():
        assert not word.isdigit() or 256 <= int(word) <= 512


@pytest.mark.slow
@pytest.mark.usefixtures("sandbox")
def test_a_class_that_never_ends_is_killed_with_all_that_belongs_to_it(
    observation_file: Path,
) -> None:
    order = order_of("endless", "Endless")
    began = time.monotonic()
    with descendants() as started, pytest.raises(RerunFailed, match="ran past its 1 s"):
        attack_again(observation_file, order, RerunLimits(seconds=1))
    assert time.monotonic() - began < 60
    assert any(str(child.PROGRAM) in words for words in started.values()), "the sandbox was not seen"
    assert_ended(started)


def assert_ended(started: Mapping[psutil.Process, list[str]]) -> None:
    deadline = time.monotonic() + 60
    while running := [words for process, words in started.items() if runs(process)]:
        assert time.monotonic() < deadline, f"still running: {running}"
        time.sleep(0.05)


def runs(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@contextmanager
def descendants() -> Iterator[dict[psutil.Process, list[str]]]:
    """The command lines of the processes that this one starts meanwhile, and of their descendants.

    What an older child starts meanwhile is not among them: a browser that other tests use, say, starts
    processes whenever it likes.
    """
    this, found, ended = psutil.Process(), dict[psutil.Process, list[str]](), threading.Event()
    before = set(this.children())

    def look() -> None:
        while not ended.wait(0.02):
            for process in family() - set(found):
                with suppress(psutil.Error):
                    # A process that has not yet become its program has a command line to come.
                    if (words := process.cmdline()) and words != this.cmdline():
                        found[process] = words

    def family() -> set[psutil.Process]:
        everyone = set[psutil.Process]()
        for process in set(this.children()) - before:
            everyone.add(process)
            with suppress(psutil.Error):
                everyone.update(process.children(recursive=True))
        return everyone

    watcher = threading.Thread(target=look, daemon=True)
    watcher.start()
    try:
        yield found
    finally:
        ended.set()
        watcher.join()


ORACLE = "gifd_bench.leaderboard.rerun.oracle"


def fickle(act: str = "") -> Order:
    return order_of("fickle", "Fickle", iterations=2, act=act)


@pytest.fixture
def runner(sandbox: None) -> Iterator[SandboxRunner]:
    with closing(SandboxRunner(fickle().submitted, QUICK)) as made:
        yield made


@pytest.mark.slow
def test_an_attack_finds_neither_the_one_before_it_nor_the_weights(
    runner: SandboxRunner, observation_file: Path
) -> None:
    with descendants() as started:
        first = runner.attack(observation_file, fickle().job)
        second = runner.attack(observation_file, fickle().job)
        # Asked while it runs: a process that is about to become another program has the same words.
        oracles = [process for process, words in started.items() if ORACLE in words and runs(process)]
        assert len(oracles) == 1
        # Standard input, output and error, the pipes of its oracle, and that of its answer.
        with pytest.raises(RerunFailed, match="LookupError: 6 descriptors, 0 sockets, 0 others"):
            runner.attack(observation_file, fickle("look").job)
        with pytest.raises(RerunFailed, match="0 parameters, 0 weights; the victim's weights stay with"):
            runner.attack(observation_file, fickle("find_weights").job)
    assert torch.equal(first.images, second.images)
    assert first.gradient_evaluations == second.gradient_evaluations == 3
    assert_ended(started)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("act", "said"),
    [
        ("crash", "the attack was ended by SIGABRT"),
        ("kill", "the sandbox ended before the attack (was ended by SIGKILL)"),
    ],
)
def test_a_class_that_breaks_its_sandbox_ends_nothing_else(
    act: str, said: str, runner: SandboxRunner, observation_file: Path
) -> None:
    with (
        closing(SandboxRunner(order_of("modest", "Modest").submitted, QUICK)) as other,
        descendants() as started,
    ):
        other.attack(observation_file, order_of("modest", "Modest", iterations=2).job)
        runner.attack(observation_file, fickle().job)
        with pytest.raises(RerunFailed, match=re.escape(said)) as failed:
            runner.attack(observation_file, fickle(act).job)
        assert "\n" not in str(failed.value)
        # Another submission goes on in the same sandbox, and this one in a new one.
        again = other.attack(observation_file, order_of("modest", "Modest", iterations=2).job)
        assert again.gradient_evaluations == 3
        assert runner.attack(observation_file, fickle().job).gradient_evaluations == 3
        runner.close()
    assert_ended(started)


def test_an_oracle_whose_verifier_is_killed_says_nothing(observation_file: Path, tmp_path: Path) -> None:
    with (tmp_path / "said").open("w+b") as said:
        command = [sys.executable, "-c", KILLED, str(observation_file)]
        verifier = subprocess.run(command, stdout=subprocess.PIPE, stderr=said, check=False)
        assert verifier.returncode == -signal.SIGKILL
        oracle = int(verifier.stdout)
        deadline = time.monotonic() + 60
        while psutil.pid_exists(oracle) and runs(psutil.Process(oracle)):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        said.seek(0)
        assert said.read() == b""


# A verifier that is killed while its oracle waits for the first question.
KILLED = """
import os, signal, sys
from pathlib import Path
from gifd_bench.leaderboard.rerun.oracle import OracleProcess
oracle = OracleProcess()
with oracle.serving(Path(sys.argv[1]), 10) as (reading, writing):
    os.read(reading, 1)
    print(oracle._process.pid, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.slow
@pytest.mark.usefixtures("sandbox")
def test_an_answer_that_the_class_wrote_itself_is_checked_like_any(observation_file: Path) -> None:
    with pytest.raises(RerunFailed, match=r"no valid answer: images are not numbers in \[0, 1\]"):
        attack_again(observation_file, order_of("forger", "Forger"), QUICK)


@pytest.mark.usefixtures("sandbox")
def test_what_a_class_says_of_its_evaluations_is_not_believed(observation_file: Path) -> None:
    answer = attack_again(observation_file, order_of("modest", "Modest", iterations=5), QUICK)
    assert answer.gradient_evaluations == 6
    assert answer.seconds > 0


@pytest.mark.slow
@pytest.mark.usefixtures("sandbox")
def test_a_class_that_says_it_spends_little_is_stopped_at_the_budget(observation_file: Path) -> None:
    order = order_of("modest", "Modest", most=3, iterations=5)
    with pytest.raises(RerunFailed, match="the attack asked for 4 gradient evaluations of 3"):
        attack_again(observation_file, order, QUICK)


@pytest.mark.slow
@pytest.mark.usefixtures("sandbox")
def test_a_class_that_talks_nonsense_to_the_oracle_ends_nothing_but_itself(observation_file: Path) -> None:
    with pytest.raises(RerunFailed, match="asked for no gradient evaluation"):
        attack_again(observation_file, order_of("forger", "Forger", image=0.5), QUICK)


@pytest.mark.slow
@pytest.mark.usefixtures("sandbox")
def test_a_file_that_is_no_generator_does_not_meet_the_class_that_asked_for_it(
    observation_file: Path, tmp_path: Path
) -> None:
    truth = tmp_path / "truth.safetensors"
    truth.write_bytes(b"private")
    prior = {"use": "generator_file", "label": "mine", "options": {"weights": str(truth)}}
    with pytest.raises(RerunFailed, match=r"the attack raised PriorError: .*truth\.safetensors"):
        attack_again(observation_file, order_of("forger", "Forger", prior), QUICK)


# As entries of version 0.1.0 have them, and what never was.
OF_ANOTHER_VERSION = {
    "radii": {"class_path": "benchmark.inversion.radii.PerEntry", "init_args": {"radius": 1.0}}
}


@pytest.mark.slow
@pytest.mark.usefixtures("sandbox")
@pytest.mark.parametrize(
    ("use", "options", "said"),
    [("gifd", OF_ANOTHER_VERSION, "radii"), ("ig", {"loss": None}, "loss"), ("gone", {}, "no attack")],
)
def test_what_another_version_took_cannot_be_run_and_one_line_says_so(
    use: str, options: dict[str, Any], said: str, observation_file: Path
) -> None:
    attack = {"use": use, "label": "a", "options": options}
    with pytest.raises(RerunImpossible, match=rf"cannot make the attack \(.*{said}") as failed:
        attack_again(observation_file, Order(Submitted(), RerunJob(attack, 3, 100)), QUICK)
    assert "\n" not in str(failed.value)


@pytest.mark.slow
@pytest.mark.usefixtures("sandbox")
def test_a_submitted_class_cannot_say_that_it_is_of_another_version(observation_file: Path) -> None:
    with pytest.raises(RerunFailed, match="ended with status 71"):
        attack_again(observation_file, order_of("leaver", "Leaver"), QUICK)


def test_without_bubblewrap_nothing_runs(observation_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(RerunRefused, match="install bubblewrap"):
        attack_again(observation_file, order_of("forger", "Forger"), QUICK)


@pytest.mark.slow
def test_a_bubblewrap_that_may_make_no_namespaces_is_refused_with_its_own_words(
    observation_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = tmp_path / "bwrap"
    # Nor is it told what the environment of the keeper holds.
    fake.write_text('#!/bin/sh\necho "bwrap: uid map: Permission ${API_KEY-denied}" >&2\nexit 1\n')
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("API_KEY", "xyzzy")
    with pytest.raises(RerunRefused, match=r"uid map: Permission denied; .* lets users make namespaces"):
        attack_again(observation_file, order_of("forger", "Forger"), QUICK)


def test_a_source_that_is_a_link_is_not_followed(observation_file: Path, tmp_path: Path) -> None:
    link = tmp_path / "attack.py"
    link.symlink_to("/etc/passwd")
    attack = {"use": "attack.py:A", "label": "a", "options": {}}
    with pytest.raises((RerunFailed, RerunRefused), match=r"no plain file|install bubblewrap"):
        attack_again(observation_file, Order(Submitted(source=link), RerunJob(attack, 0, 100)), QUICK)
