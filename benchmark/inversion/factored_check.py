"""Which parameters of a victim may be factored: found by trying."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from gifd_bench.benchmark.inversion.factored_victim import Call, FactoredVictim, Observed, calls

# The relative difference between a product and that of an ordinary gradient at which a parameter is still
# factored.
TOLERANCE = 1e-4


@dataclass(frozen=True)
class Plan:
    """How to prepare a victim.

    Attributes:
        calls: the calls of the modules that may be factored; see `factored_victim.calls`.
        general: the parameters that must get an ordinary gradient nevertheless.
        together: whether lanes may share a forward pass.
    """

    calls: Mapping[str, Call]
    general: frozenset[str]
    together: bool


def checked_plan(
    victim: nn.Module, observed: Observed, batch: tuple[int, int, int, int], lanes: int
) -> Plan:
    """The plan for a victim, from comparing products on random inputs with those of ordinary gradients.

    Args:
        victim: the model, which stays as it is.
        observed: gradients that were observed of it.
        batch: (B, C, H, W) of the images of a lane.
        lanes: the number of lanes that will run at the same time.
    """
    try:
        # In double precision no activation is so close to its kink that rounding decides.
        return _Trial(copy.deepcopy(victim).double(), observed, batch, lanes).plan()
    except (RuntimeError, TypeError):
        # The device or a module does not support double precision.
        return _Trial(copy.deepcopy(victim), observed, batch, lanes).plan()


@dataclass(frozen=True)
class _Found:
    """Products of the lanes, and everything about the prepared victim on which the plan depends."""

    general: frozenset[str]
    mostly_forms: bool
    inner: Tensor
    squared: Tensor
    observed_squared: Tensor


class _Trial:
    """Random inputs of one lane or, if there will be several, of the first and the last observation.

    Args:
        victim: the model, which is changed.
        observed: gradients that were observed of it.
        batch: (B, C, H, W) of the images of a lane.
        lanes: the number of lanes that will run at the same time.
    """

    def __init__(
        self, victim: nn.Module, observed: Observed, batch: tuple[int, int, int, int], lanes: int
    ) -> None:
        some = next(victim.parameters())
        self.victim = victim
        self.planned = lanes
        self.lanes = min(lanes, 2)
        # Setting known entries to zero is a product with a mask, whatever the module computes. Without it,
        # more entries of the gradients are compared.
        self.observed = observed.ends().to(some.dtype).without_entries()
        self.names = list(observed.gradients)
        generator = torch.Generator().manual_seed(0)
        self.inputs = torch.randn((self.lanes, *batch), generator=generator).to(some)
        self.calls = calls(victim, self.inputs[0])
        with torch.no_grad():
            classes = victim(self.inputs[0]).shape[-1]
        targets = torch.arange(self.lanes * batch[0], device=some.device) % classes
        self.targets = targets.view(self.lanes, batch[0])

    def plan(self) -> Plan:
        """The plan that factors most, among those with the right products."""
        ordinary = Plan({}, frozenset(), together=False)
        expected = self._tried(ordinary)
        at_once = Plan(self.calls, frozenset(), together=True)
        if (
            self.lanes > 1
            and (found := self._tried_at_once(at_once))
            and not self._differing(found, expected)
        ):
            plan = at_once
        else:
            plan, found = self._in_turn(expected)
        if found.mostly_forms and (self.lanes == 1 or self.inputs.shape[1] > 1):
            # A small network on large maps: double backward is as fast there, but for many single images.
            return ordinary
        return plan

    def _in_turn(self, expected: _Found) -> tuple[Plan, _Found]:
        """The plan for lanes one after another."""
        general: frozenset[str] = frozenset()
        while True:
            plan = Plan(self.calls, general, together=False)
            found = self._tried(plan)
            differing = self._differing(found, expected) - found.general
            if not differing:
                return plan, found
            general |= differing

    def _tried_at_once(self, plan: Plan) -> _Found | None:
        """The result of a plan for all lanes at once; `None` if it is not possible."""
        try:
            found = self._tried(plan)
        except RuntimeError:
            # What enters some module does not divide into lanes.
            return None
        return None if found.general else found

    def _tried(self, plan: Plan) -> _Found:
        at_once = self.planned if plan.together else 1
        factored = FactoredVictim(self.victim, self.observed, plan.calls, plan.general, at_once)
        try:
            with torch.no_grad():
                inner, squared = factored(self.inputs, self.targets, plan.together)
        finally:
            factored.close()
        general = frozenset(factored.general)
        return _Found(general, factored.mostly_forms, inner, squared, factored.observed_squared)

    def _differing(self, found: _Found, expected: _Found) -> frozenset[str]:
        """The parameters whose products differ, or say nothing because the gradient is zero."""
        squared, observed_squared = expected.squared, expected.observed_squared
        # A gradient that is zero but for rounding, as an attention's key bias has, has no relative error.
        rounding = (100 * torch.finfo(squared.dtype).eps) ** 2 * squared.sum(dim=1, keepdim=True)
        scale = squared.maximum(rounding)
        agrees = (squared > 0) & ((found.squared - squared).abs() <= TOLERANCE * scale)
        if self.lanes > len(observed_squared):
            observed_squared = observed_squared.expand(self.lanes, -1)
        close = (found.inner - expected.inner).abs() <= TOLERANCE * (scale * observed_squared).sqrt()
        well = (agrees & close).all(dim=0).tolist()
        return frozenset(name for name, agreed in zip(self.names, well, strict=True) if not agreed)
