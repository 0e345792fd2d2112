"""Which parameters of a victim may be factored: found by trying."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from gifd_bench.benchmark.inversion.factored_victim import Call, FactoredVictim, Observed, calls

# The relative difference between a product and that of an ordinary gradient above which a parameter is not
# factored.
TOLERANCE = 1e-4


@dataclass(frozen=True)
class Plan:
    """How to prepare a victim.

    Attributes:
        calls: of its modules, see `factored_victim.calls`.
        general: the parameters that must get an ordinary gradient.
        together: whether lanes may share a forward pass.
    """

    calls: Mapping[str, Call]
    general: frozenset[str]
    together: bool


def checked_plan(
    victim: nn.Module, observed: Observed, batch: tuple[int, int, int, int], lanes: int
) -> Plan:
    """The plan for a victim, by comparing products on random inputs with those of ordinary gradients.

    Args:
        victim: stays as it is.
        observed: of it.
        batch: (B, C, H, W), of the images of a lane.
        lanes: how many there will be at once.
    """
    try:
        # In double precision no activation is so close to its kink that rounding decides.
        return _Trial(copy.deepcopy(victim).double(), observed, batch).plan(lanes)
    except (RuntimeError, TypeError):
        # A device or a module that knows no double precision.
        return _Trial(victim, observed, batch).plan(lanes)


@dataclass(frozen=True)
class _Found:
    """Products of two lanes, and what of the prepared victim decides the plan."""

    general: frozenset[str]
    mostly_forms: bool
    inner: Tensor
    squared: Tensor
    observed_squared: Tensor


class _Trial:
    """Two lanes of random inputs, of the first and of the last observation."""

    def __init__(self, victim: nn.Module, observed: Observed, batch: tuple[int, int, int, int]) -> None:
        some = next(victim.parameters())
        generator = torch.Generator().manual_seed(0)
        self.inputs = torch.randn((2, *batch), generator=generator).to(some)
        with torch.no_grad():
            classes = copy.deepcopy(victim)(self.inputs[0]).shape[-1]
        self.targets = torch.arange(2 * batch[0], device=some.device).view(2, -1) % classes
        self.victim = victim
        self.observed = observed.ends().to(some.dtype)
        self.names = list(observed.gradients)

    def plan(self, lanes: int) -> Plan:
        """The plan for so many lanes."""
        called = calls(self.victim, self.inputs[0])
        ordinary = Plan({}, frozenset(), together=False)
        expected = self._tried(ordinary)
        plan = Plan(called, frozenset(), together=False)
        while True:
            found = self._tried(plan)
            differing = self._differing(found, expected) - found.general
            if not differing:
                break
            plan = Plan(called, plan.general | differing, together=False)
        if found.mostly_forms and (lanes == 1 or self.inputs.shape[1] > 1):
            # A small network on large maps: what double backward does with a batch of some images is as fast.
            return ordinary
        if lanes == 1 or found.general:
            return plan
        at_once = Plan(called, plan.general, together=True)
        try:
            found = self._tried(at_once)
        except RuntimeError:
            # What enters some module does not divide into lanes.
            return plan
        return plan if self._differing(found, expected) else at_once

    def _tried(self, plan: Plan) -> _Found:
        factored = FactoredVictim(
            copy.deepcopy(self.victim), self.observed, plan.calls, plan.general, len(self.inputs)
        )
        with torch.no_grad():
            inner, squared = factored(self.inputs, self.targets, plan.together)
        factored.close()
        general = frozenset(factored.general)
        return _Found(general, factored.mostly_forms, inner, squared, factored.observed_squared)

    def _differing(self, found: _Found, expected: _Found) -> frozenset[str]:
        """The parameters whose products differ, or say nothing because the gradient is zero."""
        squared, observed_squared = expected.squared, expected.observed_squared
        # A gradient that is zero but for rounding, as that of an attention's key bias, has no relative error.
        rounding = (100 * torch.finfo(squared.dtype).eps) ** 2 * squared.sum(dim=1, keepdim=True)
        scale = squared.maximum(rounding)
        agrees = (squared > 0) & ((found.squared - squared).abs() <= TOLERANCE * scale)
        agrees &= (found.inner - expected.inner).abs() <= TOLERANCE * (scale * observed_squared).sqrt()
        well = agrees.all(dim=0).tolist()
        return frozenset(name for name, agreed in zip(self.names, well, strict=True) if not agreed)
