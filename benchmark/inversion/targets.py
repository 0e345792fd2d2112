"""Several targets at once: observations of one victim, whose lanes lie side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch

from gifd_bench.benchmark.errors import BenchmarkError
from gifd_bench.benchmark.inversion.simulation import Client, SimulatedClient
from gifd_bench.benchmark.oracle.asking import RemoteClient, WithheldObservation
from gifd_bench.priors.base import Prior
from gifd_bench.tasks.batch_norm import Moments
from gifd_bench.tasks.observation import Observation


def unmet_together(one: Observation, other: Observation) -> str | None:
    """Why two observations cannot be attacked in one inversion, in a few words; `None` if they can.

    They may differ only in what was observed: the update, the labels, and the statistics of the batch.
    """
    for name in (
        "model",
        "mean",
        "std",
        "class_names",
        "batch_size",
        "threat_model",
        "client",
        "is_difference",
    ):
        if getattr(one, name) != getattr(other, name):
            return f"they differ in {name}"
    if list(one.update) != list(other.update):
        return "other parameters were sent"
    if one.defenses != other.defenses:
        return "they differ in the defenses"
    client = one.client
    if client is not None and client.dropout == "train":
        return "each client left out other units by dropout"
    same = one.weights.keys() == other.weights.keys() and all(
        torch.equal(value, other.weights[name]) for name, value in one.weights.items()
    )
    return None if same else "their victims have other weights"


def share_victim(one: Observation, other: Observation) -> Observation:
    """The other observation, with the victim and the weights of the first.

    They are equal, and so take memory only once.
    """
    return other.with_victim_of(one)


@dataclass(frozen=True)
class Given:
    """What an attack is given.

    A prior that were an attribute of the attack itself would be a part of the module, and would be trained
    and checkpointed.

    Attributes:
        observations: one or more observations, of one victim.
        prior: the prior, for attacks that need one.

    Raises:
        BenchmarkError: the prior does not make images of the victim's shape.
    """

    observations: Sequence[Observation]
    prior: Prior | None

    def __post_init__(self) -> None:
        if len(self.observations) > 1 and isinstance(self.observations[0], WithheldObservation):
            raise BenchmarkError("a gradient oracle is of one target")
        channels, height, width = self.observations[0].model.image_shape
        if self.prior is not None and (channels, height) != (3, width):
            raise BenchmarkError(
                f"a prior makes square images of three channels, and this victim takes {channels} of "
                f"{height}x{width}; use an attack without a prior, such as ig"
            )

    def clients(self, device: torch.device) -> Sequence[Client]:
        """The attacker's copy of the client of each observation; all of them share a victim."""
        observation = self.observations[0]
        if isinstance(observation, WithheldObservation):
            return [RemoteClient(observation, device)]
        first = SimulatedClient(observation, device)
        return [first, *(SimulatedClient(o, device, first.victim) for o in self.observations[1:])]

    def moments(self) -> Mapping[str, Moments] | None:
        """The granted BatchNorm statistics with which features may be matched, by layer.

        Returns:
            (C,) if all observations have the same, else one row for each observation, (O, C); `None` if
            none are granted.
        """
        found = [observation.batch_norm_moments() for observation in self.observations]
        first = found[0]
        shared = self.observations[0].threat_model.bn_statistics != "batch"
        if first is None or len(found) == 1 or shared:
            return first
        each = [moments for moments in found if moments is not None]
        return {
            name: Moments(
                torch.stack([moments[name].mean for moments in each]),
                torch.stack([moments[name].var for moments in each]),
            )
            for name in first
        }
