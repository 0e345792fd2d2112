"""Matching losses without weight gradients, for many candidates at once."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from gifd_bench.benchmark.inversion.choices import Path
from gifd_bench.benchmark.inversion.factored_check import checked_plan
from gifd_bench.benchmark.inversion.factored_victim import FactoredVictim, Observed
from gifd_bench.benchmark.inversion.matching import cosine_distance
from gifd_bench.tasks.defenses.norm import clip_factor


@dataclass(frozen=True)
class Products:
    """What a matching loss needs to know about the gradients of L lanes.

    There are P parameters, in the model's order.

    Lanes are ordered by observation, and each observation has the same number of lanes.

    Attributes:
        inner: (L, P), inner products of a lane's gradient with the observed one.
        squared: (L, P), squared norms of a lane's gradient.
        observed_squared: (O, P), squared norms of the observed gradients.
    """

    inner: Tensor
    squared: Tensor
    observed_squared: Tensor

    def clipped(self, bound: float | Tensor) -> Products:
        """The products for each lane's gradient after clipping it to an l2 norm over all parameters.

        Args:
            bound: the largest norm, one for all observations, or (O,).
        """
        if isinstance(bound, Tensor) and bound.ndim == 1:
            bound = bound.repeat_interleave(len(self.squared) // len(bound))
        tiny = torch.finfo(self.squared.dtype).tiny
        factor = clip_factor(self.squared.sum(dim=1).clamp(min=tiny).sqrt(), bound)[:, None]
        return replace(self, inner=self.inner * factor, squared=self.squared * factor.square())

    def negated(self) -> Products:
        """The products for the update of one local step, which is against the gradient."""
        return replace(self, inner=-self.inner)

    def per_lane(self, observed: Tensor) -> Tensor:
        """Each lane's row of (O, ...) values: (L, ...)."""
        return observed.repeat_interleave(len(self.inner) // len(observed), dim=0)


def cosine(products: Products, weights: Tensor) -> Tensor:
    """The distance of `matching.Cosine` for each lane: (L,).

    Args:
        products: the products of the lanes.
        weights: (P,), the weights of the parameter tensors.
    """
    observed = products.per_lane(products.observed_squared @ weights)
    return cosine_distance(products.inner @ weights, products.squared @ weights, observed)


def layerwise_cosine(products: Products, weights: Tensor) -> Tensor:
    """The distance of `matching.LayerwiseCosine` for each lane; arguments as in `cosine`."""
    observed = products.observed_squared
    present = weights * (observed > 0)
    shares = present / present.sum(dim=1, keepdim=True).clamp(min=torch.finfo(present.dtype).tiny)
    distances = cosine_distance(products.inner, products.squared, products.per_lane(observed))
    return (products.per_lane(shares) * distances).sum(dim=1)


def euclidean(products: Products, weights: Tensor) -> Tensor:
    """The distance of `matching.Euclidean` for each lane; arguments as in `cosine`.

    It is a difference of squared norms, so it is only as exact as their rounding. A distance below 1e-7 of
    the observed squared norm is noise in single precision, and may be negative.
    """
    observed = products.per_lane(products.observed_squared @ weights)
    return products.squared @ weights - 2 * (products.inner @ weights) + observed


class GradientProducts:
    """Computes `Products` of candidates with the observed gradients of one victim.

    Where a layer allows it, the gradient of its parameters is never formed (see `factored_layers`). The
    kinds of modules decide this, and it is then checked: on random inputs, all products are compared with
    those of gradients from autograd. A parameter whose products differ (because it is shared, or its module
    is called twice or computes something else) gets an ordinary gradient in the same pass. Ordinary
    gradients have no dimension for lanes, so lanes are then computed one after another. A victim that gains
    nothing is left to autograd.

    Attributes:
        victim: the engine's own copy. A hook on it sees each forward pass: one for all lanes if `together`,
            or else one for each lane.
        names: the names of the parameters whose gradients were observed, in the model's order.
        together: whether lanes share a forward pass.

    Args:
        victim: the model in the mode in which its gradient is taken; it stays as it is.
        observed: one or more observed gradients, by parameter.
        batch: (B, C, H, W) of the images of a lane.
        lanes: the usual number of lanes, for which the computation is planned.
        zeros: for each observation, by parameter: False for each entry that the client is known to have set
            to zero; or, for each column of a weight matrix.
    """

    def __init__(
        self,
        victim: nn.Module,
        observed: Sequence[Mapping[str, Tensor]],
        batch: tuple[int, int, int, int],
        lanes: int,
        zeros: Sequence[Mapping[str, Tensor]] = (),
    ) -> None:
        self.names = list(observed[0])
        self.batch = batch
        gradients = Observed.of(self.names, observed, zeros)
        plan = checked_plan(victim, gradients, batch, lanes)
        self.together = plan.together
        self._factored = FactoredVictim(
            copy.deepcopy(victim), gradients, plan.calls, plan.general, lanes if plan.together else 1
        )
        self.victim = self._factored.model

    @property
    def general(self) -> tuple[str, ...]:
        """The parameters whose gradients come from autograd."""
        return self._factored.general

    @property
    def path(self) -> Path:
        """`factored` if no parameter is in `general`, `general` if all are, and `mixed` otherwise."""
        if not self.general:
            return "factored"
        return "general" if len(self.general) == len(self.names) else "mixed"

    def __call__(self, inputs: Tensor, targets: Tensor) -> Products:
        """The products for the gradients of each lane's mean cross-entropy.

        If gradients are enabled, they are differentiable in the inputs and in label probabilities.

        Args:
            inputs: (L, B, C, H, W), normalized, ordered by observation, with the same number of lanes for
                each.
            targets: (L, B) int64, or (L, B, classes) probabilities.
        """
        observations = self._factored.observed.count
        if inputs.shape[1:] != self.batch or len(inputs) % observations:
            raise ValueError(
                f"made for {observations} observations and batches of {self.batch}, "
                f"not for {tuple(inputs.shape)}"
            )
        inner, squared = self._factored(inputs, targets, self.together)
        return Products(inner, squared, self._factored.observed_squared)

    def close(self) -> None:
        """Remove the engine's hooks from its copy of the victim; it cannot be called again."""
        self._factored.close()
