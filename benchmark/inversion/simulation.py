"""The attacker's own copy of the client."""

from __future__ import annotations

import torch
from torch import Tensor

from tasks.gradient import loss_gradient
from tasks.observation import Observation


class SimulatedClient:
    """Computes the update that the victim would have sent for other images.

    Args:
        observation: see there.
        device: where to compute.
    """

    def __init__(self, observation: Observation, device: torch.device) -> None:
        self.victim = observation.victim().to(device)
        names = [name for name, _ in self.victim.named_parameters()]
        # Copies: a file's tensors lie at odd addresses, where sums may round differently.
        self.observed = [observation.update[name].to(device, copy=True) for name in names]
        self.mean = torch.tensor(observation.mean, device=device).view(3, 1, 1)
        self.std = torch.tensor(observation.std, device=device).view(3, 1, 1)

    def normalise(self, images: Tensor) -> Tensor:
        """What the victim sees of images in [0, 1]."""
        return (images - self.mean) / self.std

    def denormalise(self, inputs: Tensor) -> Tensor:
        """Images of what the victim sees."""
        return inputs * self.std + self.mean

    def update(self, images: Tensor, labels: Tensor) -> tuple[Tensor, ...]:
        """The update for (B, 3, H, W) images in [0, 1], in the order of `observed`; differentiable in
        the images where gradients are enabled."""
        create_graph = torch.is_grad_enabled()
        with torch.enable_grad():
            return loss_gradient(self.victim, self.normalise(images), labels, create_graph)
