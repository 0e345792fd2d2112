"""Training and evaluating a victim."""

from __future__ import annotations

import copy
import logging
import warnings
from collections.abc import Sequence

import numpy as np
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback, RichProgressBar
from torch import nn
from torch.utils.data import BatchSampler, DataLoader, RandomSampler

from gifd_bench.tasks.datasets.base import Dataset
from gifd_bench.tasks.defenses.base import Defense
from gifd_bench.tasks.models.spec import ModelSpec
from gifd_bench.tasks.training.images import VictimImages, load_images, normalize
from gifd_bench.tasks.training.module import VictimModule
from gifd_bench.tasks.training.settings import VictimTraining

# Images of a forward pass without a gradient.
CHUNK = 256


def train_victim(
    spec: ModelSpec,
    images: VictimImages,
    training: VictimTraining,
    seed: int,
    defense: Defense | None = None,
    progress: bool = True,
    callbacks: Sequence[Callback] = (),
) -> nn.Module:
    """Train a model from random weights. On a GPU, two trainings may differ in the last bits.

    Args:
        spec: the spec of the model.
        images: all images for the training; whoever loads them applies `training.limit`.
        training: how it is trained.
        seed: the seed of the random weights.
        defense: a defense that is applied to the gradient of every step, as if a client had sent it.
        progress: whether to show a bar with the pace and the time left.
        callbacks: further callbacks for the Trainer.

    Returns:
        The trained model in evaluation mode, on the CPU.

    Raises:
        KeyboardInterrupt: it was interrupted.
    """
    model = spec.build(seed).train()
    order, augmentation, defending, layers = (
        int(state) for state in np.random.SeedSequence(training.seed).generate_state(4)
    )
    module = VictimModule(
        model,
        images.mean,
        images.std,
        training,
        training.epochs * steps_per_epoch(training, len(images)),
        (augmentation, defending),
        defense,
    )
    sampler = RandomSampler(images, generator=torch.Generator().manual_seed(order))
    size = min(training.batch_size, len(images))
    loader = DataLoader(images, sampler=BatchSampler(sampler, size, drop_last=True), batch_size=None)
    logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)
    devices = [torch.cuda.current_device()] if torch.cuda.is_available() else []
    with warnings.catch_warnings(), torch.random.fork_rng(devices=devices):
        warnings.filterwarnings("ignore", module="pytorch_lightning")
        warnings.filterwarnings("ignore", module="lightning_fabric")
        trainer = pl.Trainer(
            max_epochs=training.epochs,
            devices=1,
            callbacks=[*callbacks, *([RichProgressBar()] if progress else [])],
            enable_progress_bar=progress,
            logger=False,
            enable_checkpointing=False,
            enable_model_summary=False,
        )
        # Layers such as dropout draw from the global generators.
        torch.manual_seed(layers)
        try:
            trainer.fit(module, loader)
        except SystemExit as exit_:
            # Lightning turns Ctrl-C into an exit.
            if not trainer.interrupted:
                raise
            raise KeyboardInterrupt from exit_
    # The gradient of the last step has no further use.
    model.zero_grad()
    return model.cpu().eval()


def steps_per_epoch(training: VictimTraining, images: int) -> int:
    """The number of batches in an epoch."""
    return images // min(training.batch_size, images)


@torch.no_grad()
def accuracy(model: nn.Module, held_out: Dataset | VictimImages) -> float:
    """The share of images that a model classifies correctly in evaluation mode; it stays as it is."""
    images = load_images(held_out) if isinstance(held_out, Dataset) else held_out
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    judge = copy.deepcopy(model).eval().to(device)
    mean, std = images.mean.to(device), images.std.to(device)
    right = torch.zeros((), dtype=torch.int64, device=device)
    for first in range(0, len(images), CHUNK):
        pixels, labels = images[slice(first, first + CHUNK)]
        predicted = judge(normalize(pixels.to(device), mean, std)).argmax(dim=1)
        right += (predicted == labels.to(device)).sum()
    return int(right) / len(images)
