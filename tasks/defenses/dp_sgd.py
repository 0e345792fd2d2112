"""Differentially private gradients."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gifd_bench.common.extras import ACCOUNTING
from gifd_bench.tasks.defenses.base import Defense, Imitation, PrivateBatch, Update
from gifd_bench.tasks.defenses.checks import check_positive
from gifd_bench.tasks.errors import TaskError

# torch is imported only by what uses it: the options are read by commands that must start at once.
if TYPE_CHECKING:
    import torch
    from torch import Tensor


@dataclass(frozen=True)
class DPSGD(Defense):
    """Clips the gradient of every example, and adds noise to their mean, in every local step.

    Abadi et al., "Deep learning with differential privacy", CCS 2016, algorithm 1. The noise on the mean
    over B examples has standard deviation noise_multiplier * bound / B.

    An attacker clips the update of candidate images as a whole, which is the same thing for one image and
    one step. The noise is estimated even if the parameters are granted, because its strength in the unit of
    the update depends on the learning rate and on the number of local steps and images.

    Attributes:
        bound: the largest l2 norm of the gradient of each example, over all parameters.
        noise_multiplier: standard deviation of the noise on the sum of the gradients, in units of `bound`;
            0 only clips, and gives no privacy.
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
            TaskError: a BatchNorm layer mixes the examples, so that none of them has a gradient of its own.
        """
        from gifd_bench.tasks.batch_norm import batch_norm_layers
        from gifd_bench.tasks.defenses.draws import gaussian_like
        from gifd_bench.tasks.defenses.per_example import clipped_sum

        for name, layer in batch_norm_layers(batch.model):
            if layer.training or layer.running_mean is None:
                raise TaskError(
                    f"dp_sgd: BatchNorm layer '{name}' mixes the examples of a batch; let it use running "
                    "statistics (client.batch_norm=eval)"
                )
        examples, std = len(batch.inputs), self.noise_multiplier * self.bound
        total = clipped_sum(batch, self.bound)
        return tuple((value + std * gaussian_like(value, generator)) / examples for value in total)

    def apply(self, update: Update, batch: PrivateBatch, generator: torch.Generator) -> dict[str, Tensor]:
        """The update as it is: each of the gradients in it is already private."""
        return dict(update)

    @classmethod
    def imitation(cls, observed: Update, options: Mapping[str, Any] | None) -> Imitation:
        from gifd_bench.tasks.defenses.norm import Clipped, observed_norm
        from gifd_bench.tasks.defenses.spread import GAUSSIAN, noise_std

        if options is None:
            return Clipped(observed_norm(observed), noise_std(observed, GAUSSIAN))
        noisy = options["noise_multiplier"] > 0
        return Clipped(options["bound"], noise_std(observed, GAUSSIAN) if noisy else 0.0)

    def epsilon(self, sample_rate: float, steps: int, delta: float) -> float:
        """The epsilon of the (epsilon, delta)-differential privacy of a training.

        It is an upper bound, by Opacus's Rényi accountant for Poisson sampling, and infinite without noise.

        Args:
            sample_rate: the probability that an example is in the batch of a step, in (0, 1].
            steps: the number of training steps, at least 1.
            delta: in (0, 1); below one over the number of examples.

        Raises:
            TaskError: an argument is out of its range.
            UserError: Opacus is not installed.
        """
        if not (0 < sample_rate <= 1 and steps >= 1 and 0 < delta < 1):
            raise TaskError(
                "dp_sgd: epsilon needs a sample_rate in (0, 1], steps of at least 1 and a delta in (0, 1), "
                f"not {sample_rate}, {steps} and {delta}"
            )
        if self.noise_multiplier == 0:
            return math.inf
        ACCOUNTING.require("the epsilon of dp_sgd")
        # Here, since it takes seconds to import.
        from opacus.accountants import RDPAccountant  # type: ignore[import-untyped]

        accountant = RDPAccountant()
        accountant.history = [(self.noise_multiplier, sample_rate, steps)]
        return float(accountant.get_epsilon(delta))
