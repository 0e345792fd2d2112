"""The bundled priors and what their stages search, whether or not their weights are on this machine."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gifd_bench.priors.kinds.base import Variant
from gifd_bench.priors.registry import PRIORS

if TYPE_CHECKING:
    from gifd_bench.priors.base import Prior


@dataclass(frozen=True)
class ListedPrior:
    """A prior in a list.

    Attributes:
        name: the name by which a matrix uses it.
        variant: one of its known shapes.
        origin: where its weights come from.
        present: whether they are on this machine, without any download.
    """

    name: str
    variant: Variant
    origin: str
    present: bool

    @property
    def title(self) -> str:
        """Its name, and that of the variant if there are several."""
        return f"{self.name} ({self.variant.name})" if self.variant.name else self.name


def overview() -> list[ListedPrior]:
    """Every bundled prior in every known shape; nothing is loaded."""
    return [
        ListedPrior(name, variant, kind.origin, present=not PRIORS.absent_files(name, {}))
        for name, kind in PRIORS.kinds.items()
        for variant in kind.variants
    ]


@dataclass(frozen=True)
class StageFacts:
    """A stage, and the tensors that are searched at it, with their shapes for one image."""

    name: str
    searched: Mapping[str, tuple[int, ...]]


def stage_facts(prior: Prior) -> Iterator[StageFacts]:
    """What each stage searches; this does not need weights."""
    import torch

    from gifd_bench.priors.base import UNKNOWN_CLASS

    classes = torch.tensor([0 if prior.class_names else UNKNOWN_CLASS])
    state = prior.initial_state(classes, torch.Generator())
    for number, name in enumerate(prior.stages):
        if number:
            state = prior.advance(state)
        yield StageFacts(name, {key: tuple(state.tensors[key].shape[1:]) for key in state.searched})
