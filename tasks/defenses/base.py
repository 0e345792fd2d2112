"""What a defense is to a client, and what an attacker who knows of it can do."""

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
    """What a client's defense may look at: its own data and the model that it was sent.

    Attributes:
        model: the victim, with the weights at the start of the round.
        inputs: (B, C, H, W), normalized.
        labels: (B,) int64, or (B, classes) where the loss takes several labels of an image.
        loss: what the client's training minimizes.
        estimate: whether a defense may estimate what would take it minutes: in a training of many steps.
    """

    model: nn.Module
    inputs: Tensor
    labels: Tensor
    loss: Loss = Loss()
    estimate: bool = False


class Imitation:
    """What an adaptive attacker does to its own update, as the client's defense did to the client's.

    This one does nothing; a defense's own has a differentiable `__call__`.

    Attributes:
        noise_std: standard deviation of the noise on every entry of the observed update, which nobody
            can imitate; 0 where there is none.
    """

    noise_std: float | Tensor = 0.0

    def __call__(self, update: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """The candidate's update, one tensor a parameter, as the client would have sent it."""
        return update


@dataclass(frozen=True)
class Defense(ABC):
    """A change that the client makes to what it sends.

    A subclass is a frozen dataclass: its fields are the parameters that a threat model may grant.
    """

    def gradient(self, batch: PrivateBatch, generator: torch.Generator) -> tuple[Tensor, ...]:
        """The gradient of one local step on a batch, in the order of the model's parameters that are not
        frozen.

        Args:
            batch: its model has the weights of this step.
            generator: the only source of randomness.
        """
        from gifd_bench.tasks.gradient import loss_gradient

        return loss_gradient(batch.model, batch.inputs, batch.labels, loss=batch.loss.function())

    @abstractmethod
    def apply(self, update: Update, batch: PrivateBatch, generator: torch.Generator) -> dict[str, Tensor]:
        """The update that is sent, by parameter name; the one given is left as it is.

        Args:
            update: a gradient, or a difference of parameters, in the order of the model's parameters.
            batch: all that the client used in this round.
            generator: the only source of randomness.
        """

    @classmethod
    def imitation(cls, observed: Update, options: Mapping[str, Any] | None) -> Imitation:
        """What an attacker can do who knows that this defense was applied.

        Args:
            observed: the defended update, in the order of the model's parameters, on the attack's device.
            options: the defense's parameters where the threat model grants them; where it does not, they
                are estimated from `observed`.
        """
        return Imitation()


@dataclass(frozen=True)
class NoDefense(Defense):
    """The update is sent as it is."""

    def apply(self, update: Update, batch: PrivateBatch, generator: torch.Generator) -> dict[str, Tensor]:
        return dict(update)
