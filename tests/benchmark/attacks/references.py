"""Slow references that the tests of several attacks share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from pytorch_lightning.callbacks import Callback
from torch import Tensor
from torch.nn import functional as F

from gifd_bench.benchmark.attacks.base import Attack
from gifd_bench.benchmark.inversion.reconstruction import Reconstruction
from gifd_bench.benchmark.inversion.search import Search
from gifd_bench.benchmark.invert import invert
from gifd_bench.priors.base import Prior
from gifd_bench.tasks.observation import Observation


def cosine_objective(observation: Observation, images: Tensor, labels: Tensor) -> Tensor:
    """1 - cosine between the gradients of images in [0, 1], all in one vector, and those observed."""
    victim = observation.victim()
    loss = F.cross_entropy(victim((images - 0.5) / 0.25), labels)
    gradients = torch.autograd.grad(loss, list(victim.parameters()), create_graph=True)
    mine = torch.cat([g.flatten() for g in gradients])
    observed = torch.cat([o.flatten() for o in observation.update.values()])
    return 1 - F.cosine_similarity(mine, observed, dim=0)


class Record(Callback):
    """Keeps where the first lane stands before and after every iteration."""

    def __init__(self) -> None:
        self.before: list[dict[str, Tensor]] = []
        self.searched: list[dict[str, Tensor]] = []
        self.held: list[dict[str, Tensor]] = []
        self.began: list[dict[str, Tensor]] = []
        self.stages: list[int] = []
        self.all_lanes: list[dict[str, Tensor]] = []

    def on_before_zero_grad(self, trainer: Any, attack: Any, *args: Any) -> None:
        self.before.append(_first(attack.search.searched))

    def on_train_batch_end(self, trainer: Any, attack: Any, *args: Any) -> None:
        self.searched.append(_first(attack.search.searched))
        self.held.append(_first(attack.search.held))
        self.began.append(_first(attack.search.began))
        self.stages.append(attack.progress.stage)
        self.all_lanes.append({n: t.detach().clone() for n, t in attack.search.searched.items()})


def _first(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor[0].detach().clone() for name, tensor in tensors.items()}


def recorded(
    attack: Attack, observation: Observation, prior: Prior | None = None, seed: int = 0
) -> tuple[Record, Reconstruction]:
    record = Record()
    return record, invert(attack, observation, prior, seed, callbacks=[record], accelerator="cpu")


def start_of(attack: Attack, observation: Observation, prior: Prior | None = None, seed: int = 0) -> Search:
    """Where all lanes of the first stage start."""
    attack.observe(observation, prior, seed)
    attack.configure_optimizers()
    return attack.search
