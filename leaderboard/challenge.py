"""Attacking every observation of a set: the run of a challenger."""

from __future__ import annotations

import gc
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import pytorch_lightning as pl
from pydantic import ConfigDict

from gifd_bench.benchmark.auditing.auditor import Auditor
from gifd_bench.benchmark.display import Display
from gifd_bench.benchmark.matrix.component import Component
from gifd_bench.benchmark.results.audit_folder import AuditFolder
from gifd_bench.benchmark.results.output_folder import is_new
from gifd_bench.benchmark.results.record import STRICT, read_record, write_record
from gifd_bench.common.errors import FileError
from gifd_bench.common.files import make_folder
from gifd_bench.common.hashing import stream
from gifd_bench.leaderboard.errors import LeaderboardError
from gifd_bench.leaderboard.fingerprint import is_same
from gifd_bench.leaderboard.observation_set import ObservationSet

FORMAT: Literal["gifd-bench/challenge/1"] = "gifd-bench/challenge/1"


@dataclass(frozen=True)
class ChallengeRecord:
    """What was asked: the content of `challenge.json`.

    Attributes:
        protocol: its key.
        observations: SHA-256 of each observation's file.
        fingerprints: the fingerprint of each observation; see `gifd_bench.leaderboard.fingerprint`.
        attack, prior: in the form of `Component.config`; the prior is `None` for an attack without one.
        seed: the seed of the challenge, from which each observation has one of its own.
    """

    __pydantic_config__: ClassVar[ConfigDict] = STRICT

    protocol: str
    observations: dict[str, str]
    fingerprints: dict[str, tuple[float, ...]]
    attack: dict[str, Any]
    prior: dict[str, Any] | None
    seed: int
    format: Literal["gifd-bench/challenge/1"] = FORMAT

    @classmethod
    def of(cls, observations: ObservationSet, auditor: Auditor, seed: int) -> ChallengeRecord:
        """The record of an attack on a set."""
        index = observations.index
        return cls(
            protocol=index.protocol,
            observations={name: item.sha256 for name, item in index.observations.items()},
            fingerprints={name: tuple(item.fingerprint) for name, item in index.observations.items()},
            attack=auditor.attack.config(),
            prior=auditor.prior.config() if auditor.prior else None,
            seed=seed,
        )

    def auditor(self) -> Auditor:
        """The attack, as it was asked for.

        Raises:
            KeyError, TypeError: `attack` or `prior` is no component.
        """
        return Auditor(
            Component.from_config("attack", self.attack),
            Component.from_config("prior", self.prior) if self.prior else None,
        )

    def attack_seed(self, number: int) -> int:
        """The seed of the attack on the observation with this number in the set."""
        return stream(self.seed, "attack", number)


@dataclass(frozen=True)
class ChallengeFolder:
    """The answers of one attack to a set of observations: an audit folder for each."""

    path: Path

    @property
    def record(self) -> Path:
        """What was asked."""
        return self.path / "challenge.json"

    def answer(self, name: str) -> AuditFolder:
        """The answer to one observation."""
        return AuditFolder(self.path / name)

    def read(self) -> ChallengeRecord:
        """What was asked.

        Raises:
            FileError: the record is not there, is damaged or is of another version.
        """
        return read_record(ChallengeRecord, self.record)

    def open_for(self, asked: ChallengeRecord) -> None:
        """Make the folder, or check that it holds this very challenge.

        Raises:
            UserError: it holds something else; nothing is written.
        """

        def read() -> object:
            return asdict(self.read())

        if is_new(self.path, self.record, read, asdict(asked), "a challenge", "another challenge"):
            make_folder(self.path)
            write_record(asked, self.record)

    def check_attacked(self, observations: ObservationSet) -> None:
        """Check that this set was attacked.

        Raises:
            LeaderboardError: it was another set.
            FileError: the record is damaged.
        """
        asked, index = self.read(), observations.index
        # Another export of the same observations, here or elsewhere, will do as well.
        same = asked.fingerprints.keys() == index.observations.keys() and all(
            is_same(asked.fingerprints[name], item.fingerprint) for name, item in index.observations.items()
        )
        if asked.protocol != index.protocol:
            raise LeaderboardError(f"{self.path}: answers {asked.protocol}, not {index.protocol}")
        if not same:
            raise LeaderboardError(
                f"{self.path}: not the observations of {observations.path} were attacked; "
                "give those that were with --observations"
            )

    def auditor(self) -> Auditor:
        """The attack that answered.

        Raises:
            FileError: the record is damaged.
        """
        try:
            return self.read().auditor()
        except (KeyError, TypeError) as error:
            raise FileError(f"{self.record}: damaged ({error!r})") from error


def run_challenge(
    observations: ObservationSet,
    auditor: Auditor,
    seed: int,
    folder: ChallengeFolder,
    display: Display,
    stop: Callable[[], bool],
) -> None:
    """Attack the observations that have not been attacked yet, each with a seed of its own.

    Raises:
        InversionInterrupted: it was asked to stop; running it again continues.
    """
    asked = ChallengeRecord.of(observations, auditor, seed)
    folder.open_for(asked)
    prior = auditor.build_prior()
    for number, name in enumerate(observations.index.observations):
        answer = folder.answer(name)
        if answer.result.is_file():
            continue
        pl.seed_everything(0, verbose=False)
        observation = observations.load(name)
        identity, own_seed = asked.observations[name], asked.attack_seed(number)
        auditor.run(identity, observation, prior, own_seed, answer, display, stop)
        gc.collect()  # As the benchmark's runner does after every cell.
