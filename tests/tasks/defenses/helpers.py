"""Private batches of real photographs, and what a client has to send for them."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gifd_bench.tasks.datasets.photos import Photos
from gifd_bench.tasks.defenses.base import PrivateBatch
from gifd_bench.tasks.models.spec import ModelSpec

MEAN, STD = 0.5, 0.25


def private_batch(images: int, model: nn.Module | None = None, width: int = 4) -> PrivateBatch:
    """The first photographs at 32x32, and a convnet with random weights."""
    photos = Photos(32)
    inputs = torch.stack([(photos[i][0] - MEAN) / STD for i in range(images)])
    victim = model or ModelSpec("convnet", 10, 32, {"width": width}).build(0)
    return PrivateBatch(victim, inputs, torch.arange(images))


def gradient_of(batch: PrivateBatch) -> dict[str, Tensor]:
    """The clean gradient by parameter name."""
    parameters = dict(batch.model.named_parameters())
    loss = F.cross_entropy(batch.model(batch.inputs), batch.labels)
    return dict(zip(parameters, torch.autograd.grad(loss, list(parameters.values())), strict=True))


def difference_of(batch: PrivateBatch) -> dict[str, Tensor]:
    """What one local step changes."""
    return {name: -0.01 * value for name, value in gradient_of(batch).items()}


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def flat(update: dict[str, Tensor] | tuple[Tensor, ...]) -> Tensor:
    tensors = update.values() if isinstance(update, dict) else update
    return torch.cat([value.flatten() for value in tensors])


def cosine(one: Tensor, other: Tensor) -> float:
    one, other = one.double(), other.double()
    return float(one @ other / (one.norm() * other.norm()))
