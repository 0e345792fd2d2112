"""One training of a victim."""

from __future__ import annotations

from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gifd_bench.tasks.defenses.base import Defense, PrivateBatch
from gifd_bench.tasks.defenses.composition import composed
from gifd_bench.tasks.training.augment import augment
from gifd_bench.tasks.training.images import normalize
from gifd_bench.tasks.training.settings import VictimTraining


class VictimModule(pl.LightningModule):
    """Trains a model in place, on plain gradients or on those that a client with a defense would send.

    Args:
        model: the victim.
        mean, std: the normalization, (3, 1, 1).
        training: learning rate, momentum and the like.
        steps: the number of steps of the whole training.
        seeds: the seeds of the augmentation and of the defense.
        defense: the defense that is applied to the gradient of every step; `None` for none.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        model: nn.Module,
        mean: Tensor,
        std: Tensor,
        training: VictimTraining,
        steps: int,
        seeds: tuple[int, int],
        defense: Defense | None,
    ) -> None:
        super().__init__()
        # The gradient of a step may come from a defense.
        self.automatic_optimization = False
        self.model = model
        self.training_settings = training
        self.steps = steps
        self.defense = None if defense is None else composed(defense)
        self.register_buffer("mean", mean, persistent=False)
        self.register_buffer("std", std, persistent=False)
        self._defense_seed = seeds[1]
        self._augmentation = torch.Generator().manual_seed(seeds[0])

    def on_fit_start(self) -> None:
        self._defense_random = torch.Generator(self.device).manual_seed(self._defense_seed)

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        pixels, labels = batch
        inputs = normalize(pixels, self.mean, self.std)
        if self.training_settings.augment:
            inputs = augment(inputs, self._augmentation)
        gradient = (
            self._gradient(inputs, labels) if self.defense is None else self._defended(inputs, labels)
        )
        for parameter, g in zip(self.model.parameters(), gradient, strict=True):
            parameter.grad = g
        optimizer, schedule = self.optimizers(), self.lr_schedulers()
        assert not isinstance(optimizer, list)
        assert isinstance(schedule, torch.optim.lr_scheduler.LRScheduler)
        optimizer.step()
        schedule.step()

    def configure_optimizers(self) -> Any:
        settings = self.training_settings
        optimizer = torch.optim.SGD(
            self.model.parameters(),
            lr=settings.learning_rate,
            momentum=settings.momentum,
            weight_decay=settings.weight_decay,
        )
        return [optimizer], [torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, self.steps)]

    def _gradient(self, inputs: Tensor, labels: Tensor) -> tuple[Tensor, ...]:
        loss = F.cross_entropy(self.model(inputs), labels)
        self.log("loss", loss.detach(), prog_bar=True)
        return torch.autograd.grad(loss, list(self.model.parameters()))

    def _defended(self, inputs: Tensor, labels: Tensor) -> tuple[Tensor, ...]:
        assert self.defense is not None
        batch = PrivateBatch(self.model, inputs, labels, estimate=True)
        names = [name for name, _ in self.model.named_parameters()]
        gradient = self.defense.gradient(batch, self._defense_random)
        sent = self.defense.apply(dict(zip(names, gradient, strict=True)), batch, self._defense_random)
        return tuple(sent[name] for name in names)
