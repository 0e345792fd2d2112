"""The state of searches, side by side in lanes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from gifd_bench.benchmark.errors import BenchmarkError
from gifd_bench.benchmark.inversion.draws import Draws


@dataclass(frozen=True)
class Search:
    """Everything on which the images of a stage depend, by name.

    In an attack that runs, the first dimension of every tensor is that of the lanes, which are searches
    that do not depend on each other. A search of a single lane has no such dimension.

    Attributes:
        searched: the tensors that the optimizer changes.
        held: the tensors that stay as they are during the stage.
        began: the searched tensors at the start of the stage, for attacks that need them.
    """

    searched: Mapping[str, Tensor]
    held: Mapping[str, Tensor] = field(default_factory=dict)
    began: Mapping[str, Tensor] = field(default_factory=dict)

    @classmethod
    def side_by_side(cls, lanes: Sequence[Search]) -> Search:
        """Join searches of one lane each to one search, whose searched tensors are new leaves.

        Raises:
            BenchmarkError: they do not search the same tensors.
        """
        for lane in lanes[1:]:
            others = lane.searched.keys() ^ lanes[0].searched.keys()
            if others:
                raise BenchmarkError(f"lanes do not search the same: {', '.join(sorted(others))}")
        searched, held, began = (
            {name: torch.stack([part[name].detach() for part in parts]) for name in parts[0]}
            for parts in (
                [lane.searched for lane in lanes],
                [lane.held for lane in lanes],
                [lane.began for lane in lanes],
            )
        )
        return cls({name: tensor.requires_grad_() for name, tensor in searched.items()}, held, began)

    def only(self, lanes: Tensor) -> Search:
        """Some of the lanes, by their places; searched tensors are new leaves."""
        searched, held, began = (
            {name: tensor.detach()[lanes] for name, tensor in tensors.items()}
            for tensors in (self.searched, self.held, self.began)
        )
        return Search({name: tensor.requires_grad_() for name, tensor in searched.items()}, held, began)

    def state(self) -> dict[str, dict[str, Tensor]]:
        """The state for a checkpoint."""
        return {"searched": dict(self.searched), "held": dict(self.held), "began": dict(self.began)}

    @classmethod
    def of_state(cls, state: Mapping[str, Mapping[str, Tensor]], device: torch.device) -> Search:
        """The search of a checkpoint."""
        on_device = {
            part: {name: tensor.detach().to(device) for name, tensor in tensors.items()}
            for part, tensors in state.items()
        }
        for tensor in on_device["searched"].values():
            tensor.requires_grad_()
        return cls(**on_device)


@dataclass(frozen=True)
class Lane:
    """Which search a lane is.

    Attributes:
        restart: the number of the restart, from 0.
        member: the number of the search among several in a restart.
        draws: the random numbers of the restart.
        target: the number of the target whose images it searches, from 0; a pack has several.
    """

    restart: int
    member: int
    draws: Draws
    target: int = 0

    def draw(self, purpose: str) -> torch.Generator:
        """The random generator of this lane for a purpose, such as `start` or `langevin`.

        It depends only on the target's seed, the restart, the member and the purpose, and continues where
        it was left. Attacks that draw for the same purpose share their numbers; `start` is the purpose of
        the starting point.
        """
        return self.draws.generator(purpose, self.member)


def as_batch(tensor: Tensor) -> Tensor:
    """(L, B, ...) as (L * B, ...), for functions that have no dimension for lanes."""
    return tensor.flatten(0, 1)


def as_lanes(tensor: Tensor, lanes: int) -> Tensor:
    """The inverse of `as_batch`."""
    return tensor.view(lanes, -1, *tensor.shape[1:])
