"""The clients, as an attacker has them."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from functools import cached_property

import torch
from torch import Tensor, nn
from torch.func import functional_call

from gifd_bench.benchmark.inversion.batch_norm import BatchNormInputs
from gifd_bench.benchmark.inversion.dropout_masks import use_masks_that_show
from gifd_bench.benchmark.inversion.unrolling import Unrolled
from gifd_bench.tasks.batch_norm import Moments, batch_norm_layers, set_batch_norm_training
from gifd_bench.tasks.client import ClientSettings, FedAvg
from gifd_bench.tasks.defenses.knowledge import imitate
from gifd_bench.tasks.gradient import loss_gradient
from gifd_bench.tasks.models.second_derivatives import twice_differentiable
from gifd_bench.tasks.observation import Observation


class Client(ABC):
    """What an attacker has of the clients: what was observed of them, and answers about other images.

    Args:
        observation: everything that the attacker sees.
        device: where the attack computes.

    Attributes:
        settings: the local settings; the default ones if they are not granted.
        names: the names of the sent parameters, in the model's order.
        observed: the observed update, one tensor for each of `names`.
        imitation: the imitation of the known defenses; `imitation.noise_std` is the noise that they are
            expected to leave.
    """

    def __init__(self, observation: Observation, device: torch.device) -> None:
        self.observation = observation
        self.settings = observation.client or ClientSettings()
        self.names = list(observation.update)
        # Copies: a file's tensors lie at odd addresses, where sums may round differently.
        on_device = {name: observation.update[name].to(device, copy=True) for name in self.names}
        self.observed = list(on_device.values())
        self.imitation = imitate(
            on_device, [(known.name, known.parameters) for known in observation.defenses or ()]
        )
        self.mean = torch.tensor(observation.mean, device=device).view(-1, 1, 1)
        self.std = torch.tensor(observation.std, device=device).view(-1, 1, 1)

    def normalize(self, images: Tensor) -> Tensor:
        """What the victim sees of images in [0, 1]."""
        return (images - self.mean) / self.std

    def denormalize(self, inputs: Tensor) -> Tensor:
        """The images that belong to inputs of the victim."""
        return inputs * self.std + self.mean

    @abstractmethod
    def update(self, images: Tensor, labels: Tensor) -> tuple[Tensor, ...]:
        """The update that would be sent, in the order of `observed`.

        If gradients are enabled, it is differentiable in images and labels.

        Args:
            images: (B, C, H, W) in [0, 1]; the first client's first.
            labels: (B,) int64, or (B, classes) probabilities.
        """

    @abstractmethod
    def moments(self, images: Tensor) -> dict[str, Moments]:
        """The moments of the inputs of the victim's BatchNorm layers, in the order of the model.

        Args:
            images: (L, B, C, H, W) in [0, 1]; each lane is passed by itself.

        Returns:
            (L, C) each, by layer, differentiable in the images.
        """

    @property
    def one_gradient(self) -> bool:
        """Whether the mean of the clients' updates is the gradient of the mean over all images."""
        settings = self.settings
        alike = settings.batch_norm == "eval" and settings.weights is None and settings.loss.is_plain
        return settings.local is None and (settings.clients == 1 or alike)


class SimulatedClient(Client):
    """Computes the update that the clients would have sent for other images.

    If the settings of the local training are known, the training is unrolled. If they are not, the update
    is taken for one step in the direction of the negative gradient, of unknown length. Defenses that the
    attacker knows are imitated. Dropout drops what the update of a single image shows that it dropped, and
    otherwise nothing.

    Args:
        observation: everything that the attacker sees.
        device: where to compute.
        victim: the victim of another client with the same victim, to be shared; `None` for a copy of its
            own.
    """

    def __init__(
        self, observation: Observation, device: torch.device, victim: nn.Module | None = None
    ) -> None:
        super().__init__(observation, device)
        self.victim = copy.deepcopy(observation.victim()).to(device) if victim is None else victim
        set_batch_norm_training(self.victim, self.settings.batch_norm == "train")
        for _, layer in batch_norm_layers(self.victim):
            # The running statistics stay those that were sent out, however many forward passes there are.
            layer.momentum = 0.0
        self._loss = self.settings.loss.function()
        if self.settings.dropout == "train" and self.one_gradient and observation.batch_size == 1:
            use_masks_that_show(self.victim, observation.gradient(), observation.model.image_shape)
        trained = observation.trained()
        for name, parameter in self.victim.named_parameters():
            parameter.requires_grad_(name in trained)
        # The places of the sent parameters in the gradient of the trained ones.
        self._sent = [trained.index(name) for name in self.names]
        self._trained = trained

    def update(self, images: Tensor, labels: Tensor) -> tuple[Tensor, ...]:
        create_graph = torch.is_grad_enabled()
        with torch.enable_grad():
            update = self._mean_update(self.normalize(images), labels, create_graph)
            return self.imitation(tuple(update[i] for i in self._sent))

    def _mean_update(self, inputs: Tensor, labels: Tensor, create_graph: bool) -> tuple[Tensor, ...]:
        if self.one_gradient:
            gradient = self._gradient(inputs, labels, create_graph)
            return tuple(-g for g in gradient) if self.observation.is_difference else gradient
        clients = self.settings.clients
        updates = [
            self._client_update(its_inputs, its_labels, create_graph)
            for its_inputs, its_labels in zip(inputs.chunk(clients), labels.chunk(clients), strict=True)
        ]
        if self.settings.weights is None:
            return tuple(torch.stack(tensors).mean(dim=0) for tensors in zip(*updates, strict=True))
        shares = self.settings.shares
        return tuple(
            torch.stack([share * tensor for share, tensor in zip(shares, tensors, strict=True)]).sum(dim=0)
            for tensors in zip(*updates, strict=True)
        )

    @cached_property
    def _watched(self) -> tuple[nn.Module, BatchNormInputs]:
        """A copy of the victim, and what enters its BatchNorm layers."""
        victim = copy.deepcopy(self.victim)
        return victim, BatchNormInputs(victim)

    def moments(self, images: Tensor) -> dict[str, Moments]:
        victim, inputs = self._watched
        for lane in images:
            victim(self.normalize(lane))
        return inputs.moments(len(images))

    def _client_update(self, inputs: Tensor, labels: Tensor, create_graph: bool) -> tuple[Tensor, ...]:
        if self.settings.local is None:
            gradient = self._gradient(inputs, labels, create_graph)
            return tuple(-g for g in gradient) if self.observation.is_difference else gradient
        return self._unrolled(self.settings.local, inputs, labels, create_graph)

    def _gradient(self, inputs: Tensor, labels: Tensor, create_graph: bool) -> tuple[Tensor, ...]:
        return loss_gradient(self.victim, inputs, labels, create_graph, self._loss)

    def _unrolled(
        self, local: FedAvg, inputs: Tensor, labels: Tensor, create_graph: bool
    ) -> tuple[Tensor, ...]:
        by_name = dict(self.victim.named_parameters())
        start: tuple[Tensor, ...] = tuple(by_name[name] for name in self._trained)
        parameters, optimizer = start, Unrolled(local)
        for step in local.steps(len(inputs)):
            with twice_differentiable():
                logits = functional_call(
                    self.victim, dict(zip(self._trained, parameters, strict=True)), (inputs[step],)
                )
                loss = self._loss(logits, labels[step])
            found = torch.autograd.grad(loss, parameters, create_graph=create_graph, allow_unused=True)
            gradient = [
                torch.zeros_like(p) if g is None else g for p, g in zip(parameters, found, strict=True)
            ]
            moved = optimizer.step(parameters, gradient)
            # Without a graph each step's parameters are new leaves.
            parameters = moved if create_graph else tuple(m.detach().requires_grad_() for m in moved)
        return tuple(p - s for p, s in zip(parameters, start, strict=True))
