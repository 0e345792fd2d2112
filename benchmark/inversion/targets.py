"""Several targets at once: observations of one victim, whose lanes lie side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch

from gifd_bench.benchmark.inversion.simulation import SimulatedClient
from gifd_bench.tasks.batch_norm import Moments
from gifd_bench.tasks.observation import Observation


def unmet_together(one: Observation, other: Observation) -> str | None:
    """Why two observations cannot be attacked in one inversion, in a few words; None if they can.

    They may differ in what was observed alone: update, labels, statistics of the batch.
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
    """The other observation, with the victim and the weights of the one: they are equal, and take their
    memory once."""
    return other.with_victim_of(one)


def clients_of(observations: Sequence[Observation], device: torch.device) -> list[SimulatedClient]:
    """The attacker's copy of the client of each observation; all of them share a victim."""
    first = SimulatedClient(observations[0], device)
    return [first, *(SimulatedClient(each, device, first.victim) for each in observations[1:])]


def moments_of(observations: Sequence[Observation]) -> Mapping[str, Moments] | None:
    """The BatchNorm statistics that features may be matched with, by layer, as far as the threat model
    grants: (C,) where all observations have the same, else one row an observation, (O, C)."""
    found = [observation.batch_norm_moments() for observation in observations]
    first = found[0]
    if first is None or len(found) == 1 or observations[0].threat_model.bn_statistics != "batch":
        return first
    each = [moments for moments in found if moments is not None]
    return {
        name: Moments(
            torch.stack([moments[name].mean for moments in each]),
            torch.stack([moments[name].var for moments in each]),
        )
        for name in first
    }
