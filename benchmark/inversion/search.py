"""Where searches stand, side by side in lanes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from gifd_bench.benchmark.errors import BenchmarkError
from gifd_bench.benchmark.inversion.draws import Draws


@dataclass(frozen=True)
class Search:
    """All that a stage's images depend on, by name. In an attack that runs, every tensor's first dimension
    is that of the lanes: searches that have nothing to do with each other. Of one lane it is left out.

    Attributes:
        searched: what the optimizer changes.
        held: what stays as it is during the stage.
        began: of what is searched, where the stage began, for attacks that look back.
    """

    searched: Mapping[str, Tensor]
    held: Mapping[str, Tensor] = field(default_factory=dict)
    began: Mapping[str, Tensor] = field(default_factory=dict)

    @classmethod
    def side_by_side(cls, lanes: Sequence[Search]) -> Search:
        """Searches of one lane each as one of them all, whose searched tensors are leaves of their own.

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
        """Some of the lanes, by their places; searched tensors are leaves of their own."""
        searched, held, began = (
            {name: tensor.detach()[lanes] for name, tensor in tensors.items()}
            for tensors in (self.searched, self.held, self.began)
        )
        return Search({name: tensor.requires_grad_() for name, tensor in searched.items()}, held, began)

    def state(self) -> dict[str, dict[str, Tensor]]:
        """For a checkpoint."""
        return {"searched": dict(self.searched), "held": dict(self.held), "began": dict(self.began)}

    @classmethod
    def of_state(cls, state: Mapping[str, Mapping[str, Tensor]], device: torch.device) -> Search:
        """From a checkpoint."""
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
        restart: counted from 0.
        member: of several searches in a restart.
        draws: of the restart.
        target: whose images it is to find, counted from 0; there are several in a pack.
    """

    restart: int
    member: int
    draws: Draws
    target: int = 0

    def draw(self, purpose: str) -> torch.Generator:
        """The generator of what is drawn for a purpose, such as `start` or `langevin`, in this lane.

        It depends on the target's seed, the restart, the member and the purpose alone, and goes on where it
        was left. Attacks that draw for the same purpose share their numbers: `start` is where the search
        begins.
        """
        return self.draws.generator(purpose, self.member)


def as_batch(tensor: Tensor) -> Tensor:
    """(L, B, ...) as (L * B, ...), for what knows nothing of lanes."""
    return tensor.flatten(0, 1)


def as_lanes(tensor: Tensor, lanes: int) -> Tensor:
    """The inverse of `as_batch`."""
    return tensor.view(lanes, -1, *tensor.shape[1:])
