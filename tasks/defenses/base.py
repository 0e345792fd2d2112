"""What a defense does for a client, and what an attacker who knows it can do."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gifd_bench.tasks.losses import Loss

# torch is imported only by what uses it: the options are read by commands that must start at once.
if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

Update = Mapping[str, "Tensor"]


@dataclass(frozen=True)
class PrivateBatch:
    """What a client's defense may look at: the client's data, and the model that it was sent.

    Attributes:
        model: the victim, with the weights at the start of the round.
        inputs: (B, C, H, W), normalized.
        labels: (B,) int64, or (B, classes) if the loss takes several labels for an image.
        loss: the loss that the client's training minimizes.
        estimate: whether a defense may estimate values whose exact computation takes minutes; true in a
            training of many steps.
    """

    model: nn.Module
    inputs: Tensor
    labels: Tensor
    loss: Loss = Loss()
    estimate: bool = False


class Imitation:
    """What an adaptive attacker does to a candidate's update, as the client's defense did to its own.

    This class changes nothing. The imitation of a defense has a differentiable `__call__` of its own.

    Attributes:
        noise_std: standard deviation of the noise on every entry of the observed update, which no attacker
            can imitate; 0 if there is none.
    """

    noise_std: float | Tensor = 0.0

    def __call__(self, update: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """The update of candidate images, one tensor for each parameter, as a client would have sent it."""
        return update


@dataclass(frozen=True)
class Defense(ABC):
    """A change that the client makes to what it sends.

    A subclass is a frozen dataclass. Its fields are the parameters that a threat model may grant to the
    attacker.
    """

    def gradient(self, batch: PrivateBatch, generator: torch.Generator) -> tuple[Tensor, ...]:
        """The gradient of one local step on a batch.

        Args:
            batch: the private batch, with a model that has the weights of this step.
            generator: the only source of randomness.

        Returns:
            One tensor for each parameter that is not frozen, in the model's order.
        """
        from gifd_bench.tasks.gradient import loss_gradient

        return loss_gradient(batch.model, batch.inputs, batch.labels, loss=batch.loss.function())

    @abstractmethod
    def apply(self, update: Update, batch: PrivateBatch, generator: torch.Generator) -> dict[str, Tensor]:
        """The update that is sent.

        Args:
            update: a gradient, or a difference of parameters, by parameter name in the model's order. It is
                left as it is.
            batch: everything that the client used in this round.
            generator: the only source of randomness.

        Returns:
            The defended update by parameter name, in the same order.
        """

    @classmethod
    def imitation(cls, observed: Update, options: Mapping[str, Any] | None) -> Imitation:
        """What an attacker can do who knows that this defense was applied.

        Args:
            observed: the defended update, in the order of the model's parameters, on the attack's device.
            options: the defense's parameters, if the threat model grants them. If they are `None`, they are
                estimated from `observed`.

        Returns:
            A function that treats the update of candidate images as the client treated its own.
        """
        return Imitation()


@dataclass(frozen=True)
class NoDefense(Defense):
    """No defense: the update is sent as it is."""

    def apply(self, update: Update, batch: PrivateBatch, generator: torch.Generator) -> dict[str, Tensor]:
        return dict(update)
