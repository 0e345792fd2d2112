"""The attacks of an audit: all that the threat model and the available priors allow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from gifd_bench.benchmark.attacks.options import AttackOptions
from gifd_bench.benchmark.attacks.registry import ATTACKS
from gifd_bench.benchmark.errors import BenchmarkError
from gifd_bench.benchmark.inversion.simulation import SimulatedClient
from gifd_bench.benchmark.matrix.component import Component
from gifd_bench.benchmark.matrix.resolve import Resolver
from gifd_bench.benchmark.matrix.unmet import options_of
from gifd_bench.priors.registry import PRIORS
from gifd_bench.tasks.observation import Observation

# The rule that finds the most labels; an attack's own default may be its paper's.
_RULE = {"label_rule": "restoration"}
# The attacks by their labels, the most promising first: their names, and what differs from their defaults.
ATTACKS_IN_ORDER: dict[str, Mapping[str, Any]] = {
    "gifd": {"use": "gifd", "iterations": 300, **_RULE},
    "ig": {"use": "ig", **_RULE},
    "ig_smooth": {"use": "ig", "total_variation": 1e-2, **_RULE},
    "gifd_ood": {"use": "gifd_ood", "iterations": 300, **_RULE},
    "gias": {"use": "gias", **_RULE},
    "gion": {"use": "gion", **_RULE},
    "latent": {"use": "latent", **_RULE},
    "idlg": {"use": "idlg", **_RULE},
    "ggl": {"use": "ggl", **_RULE},
    "gi": {"use": "gi", **_RULE},
    "dlg": {"use": "dlg"},
}
# It knows nothing of images, and is there to be compared with.
UNTRAINED = "untrained"


@dataclass(frozen=True)
class AttackChoice:
    """An attack that can be tried.

    Attributes:
        label: its name, with its prior.
        attack: the attack with all of its options.
        prior: the prior, if it needs one.
    """

    label: str
    attack: Component
    prior: Component | None


@dataclass(frozen=True)
class NotTried:
    """What was not tried, and why, in one line."""

    label: str
    reason: str


@dataclass(frozen=True)
class Wanted:
    """The attacks and priors that an audit may use.

    Attributes:
        attacks: the attacks, the most promising first.
        priors: priors for attacks that need one.
        absent: priors that are not on this machine.
    """

    attacks: tuple[Component, ...]
    priors: tuple[Component, ...]
    absent: tuple[NotTried, ...] = ()

    @classmethod
    def from_names(
        cls, attacks: Sequence[str], priors: Sequence[str], overrides: Sequence[str] = ()
    ) -> Wanted:
        """The attacks and priors from names, with arguments such as `--attacks.ig.restarts=4`.

        Args:
            attacks: labels of `ATTACKS_IN_ORDER`, or paths; empty for all of these labels.
            priors: names or paths; empty for all bundled ones whose files are on this machine.
            overrides: options of these attacks and priors.

        Raises:
            UserError: there is no such attack, prior or option.
        """
        resolver = Resolver(overrides)
        labels = {_label(name): name for name in attacks or ATTACKS_IN_ORDER}
        for label, name in labels.items():
            spec = ATTACKS_IN_ORDER.get(name, {"use": name})
            resolver.declare("attack", f"attacks.{label}", name, dict(spec))
        found, absent = list(priors), []
        if not found:
            lacks = {name: PRIORS.absent_files(name, {}) for name in PRIORS.bundled if name != UNTRAINED}
            found = [name for name, missing in lacks.items() if not missing]
            absent = [
                NotTried(f"prior {name}", f"{missing[0]} (--priors {name} --priors.{name}.OPTION=...)")
                for name, missing in lacks.items()
                if missing
            ]
        named = {_label(name): name for name in found}
        for label, name in named.items():
            resolver.declare("prior", f"priors.{label}", name, None)
        resolver.parse()
        return cls(
            tuple(resolver.component("attack", f"attacks.{label}", label) for label in labels),
            tuple(resolver.component("prior", f"priors.{label}", label) for label in named),
            tuple(absent),
        )

    def config(self) -> dict[str, Any]:
        """The attacks and priors as plain JSON values."""
        return {
            "attacks": [attack.config() for attack in self.attacks],
            "priors": [prior.config() for prior in self.priors],
        }


def portfolio(observation: Observation, wanted: Wanted) -> tuple[list[AttackChoice], list[NotTried]]:
    """What can be tried on an observation, the most promising first, and what cannot.

    Under noise that the attacker knows, attacks stop by the discrepancy principle.

    Args:
        observation: everything that the attacker sees.
        wanted: what may be used.
    """
    candidates: list[AttackChoice] = []
    excluded = list(wanted.absent)
    noise = SimulatedClient(observation, torch.device("cpu")).imitation.noise_std
    noisy = bool((torch.as_tensor(noise) > 0).any())
    for attack in wanted.attacks:
        adapted = attack.with_options({"stop": "discrepancy"}) if noisy else attack
        reason = _unmet(options_of(adapted), observation)
        if reason is not None:
            excluded.append(NotTried(attack.label, reason))
        elif not ATTACKS.find(attack.name).needs_prior:
            candidates.append(AttackChoice(attack.label, adapted, None))
        elif not wanted.priors:
            excluded.append(NotTried(attack.label, "it needs a prior, and none is at hand"))
        else:
            several = len(wanted.priors) > 1
            for prior in wanted.priors:
                label = f"{attack.label}_{prior.label}" if several else attack.label
                candidates.append(AttackChoice(label, adapted, prior))
    if not candidates:
        lines = "; ".join(f"{one.label}: {one.reason}" for one in excluded)
        raise BenchmarkError(f"no attack can be tried: {lines}")
    return candidates, excluded


def scaled(attack: Component, factor: float) -> Component:
    """The same attack with each of its numbers of iterations times a factor, and at least one."""
    changes: dict[str, Any] = {}
    for name, value in attack.options.items():
        if name.endswith("iterations"):
            changes[name] = (
                [max(1, round(factor * one)) for one in value]
                if isinstance(value, list)
                else max(1, round(factor * value))
            )
    return attack.with_options(changes)


def _unmet(options: AttackOptions, observation: Observation) -> str | None:
    model, threat = observation.model, observation.threat_model
    channels, height, width = model.image_shape
    if options.needs_prior and (channels, height) != (3, width):
        return (
            f"a prior makes square images of three channels, and these are of {channels} channels and "
            f"{height}x{width} pixels"
        )
    return options.unmet(threat, observation.is_difference) or options.unmet_labels(
        threat, observation.batch_size, model.num_classes
    )


def _label(name: str) -> str:
    """A name, or the last part of a path, as a label."""
    return "".join(c if c.isalnum() else "_" for c in name.rpartition(":")[2])
