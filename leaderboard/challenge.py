"""Attacking every observation of a set: the challenger's run."""

from __future__ import annotations

import gc
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytorch_lightning as pl

from gifd_bench.benchmark.audit import Auditor
from gifd_bench.benchmark.display import Display
from gifd_bench.benchmark.matrix.component import Component
from gifd_bench.benchmark.results.audit_folder import AuditFolder
from gifd_bench.benchmark.results.output_folder import is_new
from gifd_bench.common.files import make_folder, read_json, write_json
from gifd_bench.common.hashing import stream
from gifd_bench.leaderboard.errors import LeaderboardError
from gifd_bench.leaderboard.fingerprint import is_same
from gifd_bench.leaderboard.observation_set import ObservationSet

FORMAT = "gifd-bench/challenge/1"


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

    def open_for(self, observations: ObservationSet, auditor: Auditor, seed: int) -> None:
        """Make the folder, or make sure that it holds this very challenge.

        Raises:
            BenchmarkError: it holds something else; nothing is written.
        """
        wanted = {
            "format": FORMAT,
            "protocol": observations.index.protocol,
            "observations": {name: item.sha256 for name, item in observations.index.observations.items()},
            "fingerprints": {
                name: item.fingerprint for name, item in observations.index.observations.items()
            },
            "attack": auditor.attack.config(),
            "prior": auditor.prior.config() if auditor.prior else None,
            "seed": seed,
        }
        if is_new(self.path, self.record, self._read, wanted, "a challenge", "another challenge"):
            make_folder(self.path)
            write_json(self.record, wanted)

    def check_attacked(self, observations: ObservationSet) -> None:
        """Whether it is this set that was attacked.

        Raises:
            LeaderboardError: it is another, or the record is damaged.
        """
        content, index = self._read(), observations.index
        try:
            protocol, attacked = content["protocol"], content["fingerprints"]
            # As another export of the same observations, here or elsewhere, will do.
            same = attacked.keys() == index.observations.keys() and all(
                is_same(attacked[name], item.fingerprint) for name, item in index.observations.items()
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise LeaderboardError(f"{self.record}: damaged ({error!r})") from error
        if protocol != index.protocol:
            raise LeaderboardError(f"{self.path}: answers {protocol}, not {index.protocol}")
        if not same:
            raise LeaderboardError(
                f"{self.path}: not the observations of {observations.path} were attacked; "
                "give those that were with --observations"
            )

    def auditor(self) -> Auditor:
        """The attack that answered.

        Raises:
            LeaderboardError: the record is damaged.
        """
        content = self._read()
        try:
            prior = content["prior"]
            return Auditor(
                Component.from_config("attack", content["attack"]),
                Component.from_config("prior", prior) if prior else None,
            )
        except (KeyError, TypeError) as error:
            raise LeaderboardError(f"{self.record}: damaged ({error!r})") from error

    def _read(self) -> Any:
        return read_json(self.record)


def run_challenge(
    observations: ObservationSet,
    auditor: Auditor,
    seed: int,
    folder: ChallengeFolder,
    display: Display,
    stop: Callable[[], bool],
) -> None:
    """Attack what has not been attacked yet; each observation with a seed of its own.

    Raises:
        InversionInterrupted: asked to stop; running again goes on.
    """
    folder.open_for(observations, auditor, seed)
    prior = auditor.build_prior()
    for number, name in enumerate(observations.index.observations):
        answer = folder.answer(name)
        if answer.result.is_file():
            continue
        pl.seed_everything(0, verbose=False)
        observation = observations.load(name)
        its_seed = stream(seed, "attack", number)
        auditor.run(observations.file(name), observation, prior, its_seed, answer, display, stop)
        gc.collect()  # As the benchmark's runner does after every cell.
