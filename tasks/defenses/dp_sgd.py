"""Differentially private gradients."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gifd_bench.tasks.defenses.base import Defense, Imitation, PrivateBatch, Update
from gifd_bench.tasks.defenses.checks import check_positive
from gifd_bench.tasks.errors import TaskError

# torch is imported only by what uses it: the options are read by commands that must start at once.
if TYPE_CHECKING:
    import torch
    from torch import Tensor


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
        """The update as it is: each of its gradients is private already."""
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
