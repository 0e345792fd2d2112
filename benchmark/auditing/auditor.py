"""One attack on one observation of any origin, without the truth."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pytorch_lightning.callbacks import Callback

from gifd_bench.benchmark.attacks.base import Attack
from gifd_bench.benchmark.attacks.registry import ATTACKS
from gifd_bench.benchmark.bench import Limits
from gifd_bench.benchmark.display import Display, Listener
from gifd_bench.benchmark.errors import BenchmarkError
from gifd_bench.benchmark.invert import Checkpoint, invert
from gifd_bench.benchmark.matrix.component import Component
from gifd_bench.benchmark.matrix.resolve import Resolver
from gifd_bench.benchmark.results.audit_folder import AuditFolder
from gifd_bench.common.hashing import canonical, short_hash
from gifd_bench.common.terminal import say
from gifd_bench.priors.base import Prior
from gifd_bench.tasks.observation import Observation


@dataclass(frozen=True)
class Auditor:
    """An attack, perhaps with a prior, that is made anew for every observation."""

    attack: Component
    prior: Component | None

    @classmethod
    def from_options(cls, attack: str, prior: str | None, overrides: Sequence[str]) -> Auditor:
        """Make an auditor from names and from command-line arguments such as `--attack.restarts=4`.

        Raises:
            BenchmarkError: there is no such attack, prior or option, or the attack needs a prior.
        """
        resolver = Resolver(overrides)
        resolver.declare("attack", "attack", attack, None)
        if prior is not None:
            resolver.declare("prior", "prior", prior, None)
        resolver.parse()
        attack_part = resolver.component("attack", "attack", attack)
        prior_part = resolver.component("prior", "prior", prior) if prior is not None else None
        if ATTACKS.find(attack_part.name).needs_prior and prior_part is None:
            raise BenchmarkError(f"attack '{attack}' needs a prior; give one with --prior")
        return cls(attack_part, prior_part)

    def build_prior(self) -> Prior | None:
        """The prior; observations may share it."""
        prior: Prior | None = self.prior.build() if self.prior else None
        return prior

    def run(
        self,
        identity: str,
        observation: Observation,
        prior: Prior | None,
        seed: int,
        folder: AuditFolder,
        display: Display,
        stop: Callable[[], bool],
        callbacks: Sequence[Callback] = (),
    ) -> None:
        """Attack an observation, or continue an interrupted attack; do nothing if it has ended.

        Args:
            identity: a hash that identifies the observation.
            observation: the observation.
            prior: the prior, as `build_prior` makes it.
            seed: the seed of the attack's randomness.
            folder: the folder of the answer.
            display: shows the progress.
            stop: is called after every iteration; if it returns true, the attack is interrupted.
            callbacks: further callbacks for the Trainer.

        Raises:
            BenchmarkError: the folder holds something else, or the attack needs what is not granted.
            InversionInterrupted: it was asked to stop; running it again continues.
        """
        attack: Attack = self.attack.build()
        unmet = attack.options.unmet(observation.threat_model, observation.is_difference)
        if unmet is not None:
            raise BenchmarkError(f"{self.attack.label}: {unmet}")
        config = {
            "observation": identity,
            "attack": self.attack.config(),
            "prior": self.prior.config() if self.prior else None,
            "seed": seed,
        }
        folder.open_for(config)
        if folder.result.is_file():
            return
        seconds = Limits().checkpoint_seconds
        checkpoint = Checkpoint(folder.checkpoint, seconds, stop, of=short_hash(canonical(config)))
        doubt = checkpoint.drop_if_doubtful()
        if doubt is not None:
            say(f"gifd-bench: {folder.path}: starts again: {doubt}")
        listener = Listener(display, self.attack.label)
        answer = invert(
            attack, observation, prior, seed, checkpoint=checkpoint, callbacks=[listener, *callbacks]
        )
        folder.write(answer, observation.class_names, checkpoint.spent())
        display.end(self.attack.label, "done")


def hash_of(file: Path) -> str:
    """The identity of an observation file: the SHA-256 of its bytes."""
    return hashlib.sha256(file.read_bytes()).hexdigest()
