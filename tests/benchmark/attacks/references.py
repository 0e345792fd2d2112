"""Slow references that the tests of several attacks share."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from gifd_bench.tasks.observation import Observation


def cosine_objective(observation: Observation, images: Tensor, labels: Tensor) -> Tensor:
    """1 - cosine between the gradients of images in [0, 1], all in one vector, and those observed."""
    victim = observation.victim()
    loss = F.cross_entropy(victim((images - 0.5) / 0.25), labels)
    gradients = torch.autograd.grad(loss, list(victim.parameters()), create_graph=True)
    mine = torch.cat([g.flatten() for g in gradients])
    observed = torch.cat([o.flatten() for o in observation.update.values()])
    return 1 - F.cosine_similarity(mine, observed, dim=0)
