"""Differentially private gradients."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.func import functional_call, grad, vmap
from torch.nn import functional as F

from gifd_bench.tasks.batch_norm import batch_norm_layers
from gifd_bench.tasks.defenses.base import Defense, Imitation, PrivateBatch, Update
from gifd_bench.tasks.defenses.checks import check_positive
from gifd_bench.tasks.defenses.clipping import Clipped, clip_factor, observed_norm
from gifd_bench.tasks.defenses.noise import gaussian_like
from gifd_bench.tasks.defenses.spread import GAUSSIAN, noise_std
from gifd_bench.tasks.errors import TaskError
from gifd_bench.tasks.gradient import loss_gradient

# Examples whose gradients are held at once.
CHUNK = 8


class NoisyClipped(Clipped):
    """Clips the candidate's update, and adds no noise.

    Args:
        bound: see `Clipped`.
        noise_std: see `Imitation`.
    """

    def __init__(self, bound: float | Tensor, noise_std: float | Tensor) -> None:
        super().__init__(bound)
        self.noise_std = noise_std


@dataclass(frozen=True)
class DPSGD(Defense):
    """Every example's gradient is clipped, and noise is added to their mean, in every local step (Abadi et
    al., "Deep learning with differential privacy", CCS 2016, algorithm 1).

    The noise on the mean over B examples has standard deviation noise_multiplier * bound / B.

    An attacker clips its own update as a whole, which is the same for one image and one step. The noise is
    estimated even where the parameters are granted: what it is in the update's unit depends on the learning
    rate and the number of local steps and images.

    Attributes:
        bound: on the l2 norm of each example's gradient over all parameters.
        noise_multiplier: standard deviation of the noise on the sum of the gradients, in units of `bound`;
            0 clips alone, and gives no privacy.
    """

    bound: float = 1.0
    noise_multiplier: float = 1.0

    def __post_init__(self) -> None:
        check_positive("dp_sgd: bound", self.bound)
        if not 0 <= self.noise_multiplier < math.inf:
            raise TaskError(
                f"dp_sgd: noise_multiplier must be a number of at least 0, not {self.noise_multiplier}"
            )

    def gradient(self, batch: PrivateBatch, generator: torch.Generator) -> tuple[Tensor, ...]:
        """The noisy mean of the clipped gradients.

        Raises:
            TaskError: a BatchNorm layer mixes the examples, so that none has a gradient of its own.
        """
        for name, layer in batch_norm_layers(batch.model):
            if layer.training or layer.running_mean is None:
                raise TaskError(
                    f"dp_sgd: BatchNorm layer '{name}' mixes the examples of a batch; let it use running "
                    "statistics (client.batch_norm=eval)"
                )
        examples = len(batch.inputs)
        total = [torch.zeros_like(parameter) for parameter in batch.model.parameters()]
        for inputs, labels in zip(
            torch.split(batch.inputs, CHUNK), torch.split(batch.labels, CHUNK), strict=True
        ):
            gradients = per_example_gradients(PrivateBatch(batch.model, inputs, labels))
            norms = torch.stack([torch.linalg.vector_norm(g.flatten(1), dim=1) for g in gradients])
            factors = clip_factor(torch.linalg.vector_norm(norms, dim=0), self.bound)
            for its_total, g in zip(total, gradients, strict=True):
                its_total += torch.tensordot(factors, g, dims=1)
        std = self.noise_multiplier * self.bound
        return tuple((value + std * gaussian_like(value, generator)) / examples for value in total)

    def apply(self, update: Update, batch: PrivateBatch, generator: torch.Generator) -> dict[str, Tensor]:
        """The update as it is: each of its gradients is private already."""
        return dict(update)

    @classmethod
    def imitation(cls, observed: Update, options: Mapping[str, Any] | None) -> Imitation:
        if options is None:
            return NoisyClipped(observed_norm(observed), noise_std(observed, GAUSSIAN))
        noisy = options["noise_multiplier"] > 0
        return NoisyClipped(options["bound"], noise_std(observed, GAUSSIAN) if noisy else 0.0)

    def epsilon(self, sample_rate: float, steps: int, delta: float) -> float:
        """The epsilon of (epsilon, delta)-differential privacy that training spends: an upper bound, by
        Opacus's Rényi accountant for Poisson sampling; infinite without noise.

        Args:
            sample_rate: the chance of an example to be in a step's batch, in (0, 1].
            steps: of training, at least 1.
            delta: in (0, 1); below one over the number of examples.

        Raises:
            TaskError: an argument is out of its range.
        """
        if not (0 < sample_rate <= 1 and steps >= 1 and 0 < delta < 1):
            raise TaskError(
                "dp_sgd: epsilon needs a sample_rate in (0, 1], steps of at least 1 and a delta in (0, 1), "
                f"not {sample_rate}, {steps} and {delta}"
            )
        if self.noise_multiplier == 0:
            return math.inf
        # Here, since it takes seconds to import.
        from opacus.accountants import RDPAccountant  # type: ignore[import-untyped]

        accountant = RDPAccountant()
        accountant.history = [(self.noise_multiplier, sample_rate, steps)]
        return float(accountant.get_epsilon(delta))


def per_example_gradients(batch: PrivateBatch) -> tuple[Tensor, ...]:
    """Each example's own gradient: a (B, ...) tensor a parameter, in the order of the model's.

    All at once by `vmap`; one after another for a model that it cannot take (one that branches on values,
    or whose operations have no batching rule).
    """
    parameters = {name: parameter.detach() for name, parameter in batch.model.named_parameters()}

    def loss(weights: dict[str, Tensor], example: Tensor, label: Tensor) -> Tensor:
        return F.cross_entropy(functional_call(batch.model, weights, (example[None],)), label[None])

    try:
        every = vmap(grad(loss), in_dims=(None, 0, 0), randomness="different")
        return tuple(every(parameters, batch.inputs, batch.labels).values())
    except RuntimeError:
        pairs = zip(torch.split(batch.inputs, 1), torch.split(batch.labels, 1), strict=True)
        one_by_one = [loss_gradient(batch.model, example, label) for example, label in pairs]
        return tuple(torch.stack(gradients) for gradients in zip(*one_by_one, strict=True))
