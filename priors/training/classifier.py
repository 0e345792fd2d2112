"""A small classifier of the training images, in whose features the samples of a prior are scored.

The usual Inception network was trained on ImageNet at 299 pixels, has to be downloaded, and says little
about other domains. This classifier is trained on the same images as the prior, before the prior.
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import RichProgressBar
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import AdamW
from torch.optim.lr_scheduler import OneCycleLR
from torch.utils.data import BatchSampler, DataLoader, RandomSampler

from gifd_bench.common.files import write_tensors
from gifd_bench.priors.tensor_files import check_tensors, read_state_dict
from gifd_bench.priors.training.images import PriorImages

FEATURES = 128
BATCH = 128


class Classifier(pl.LightningModule):
    """Residual convolutions to 128 features, and a linear layer, for images (B, 3, S, S) in [-1, 1].

    Args:
        classes: the number of classes.
        steps: training steps; the learning rate makes one cycle over them.
    """

    def __init__(self, classes: int, steps: int) -> None:
        super().__init__()
        self.steps = steps
        self.stem = nn.Sequential(nn.Conv2d(3, 32, 3, padding=1, bias=False), nn.BatchNorm2d(32), nn.ReLU())
        widths = (32, 64, 96, FEATURES)
        self.blocks = nn.ModuleList(_block(i, o) for i, o in pairwise(widths))
        self.skips = nn.ModuleList(nn.Conv2d(i, o, 1) for i, o in pairwise(widths))
        self.linear = nn.Linear(FEATURES, classes)

    def features(self, images: Tensor) -> Tensor:
        """Penultimate features: (B, 128)."""
        x: Tensor = self.stem(images)
        for block, skip in zip(self.blocks, self.skips, strict=True):
            x = F.relu(block(x) + skip(F.avg_pool2d(x, 2)))
        return x.mean(dim=(2, 3)).float()

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.linear(self.features(images))
        return logits

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        images, labels = batch
        loss = F.cross_entropy(self(_jitter(images)), labels, label_smoothing=0.1)
        self.log("classifier_loss", loss, prog_bar=True)
        return loss

    def configure_optimizers(self) -> Any:
        optimizer = AdamW(self.parameters(), lr=3e-3, weight_decay=0.05)
        schedule = OneCycleLR(optimizer, max_lr=3e-3, total_steps=self.steps)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


def trained_classifier(images: PriorImages, path: Path, epochs: int, precision: str) -> Classifier:
    """The classifier at `path`; if there is none, it is trained on `images` and written there first."""
    steps = max(1, epochs * len(images) // BATCH)
    classifier = Classifier(len(images.class_names), steps)
    if path.is_file():
        tensors = read_state_dict(path)
        check_tensors(path, classifier.state_dict(), tensors)
        classifier.load_state_dict(tensors)
        return classifier.eval()
    size = min(BATCH, len(images))
    sampler = BatchSampler(RandomSampler(images), size, drop_last=True)
    trainer = pl.Trainer(
        max_steps=steps,
        max_epochs=-1,
        precision=precision,  # type: ignore[arg-type]
        callbacks=[RichProgressBar()],
        logger=False,
        enable_checkpointing=False,
        enable_model_summary=False,
    )
    trainer.fit(classifier, DataLoader(images, sampler=sampler, batch_size=None))
    write_tensors(path, classifier.state_dict())
    return classifier.cpu().eval()


@torch.no_grad()
def accuracy(classifier: Classifier, images: PriorImages) -> float:
    """The share of held-back images that it classifies correctly."""
    batches = range(0, len(images), BATCH)
    right = [
        int(
            (
                classifier(images.normalized(slice(b, b + BATCH))).argmax(dim=1)
                == images.labels[b : b + BATCH]
            ).sum()
        )
        for b in batches
    ]
    return sum(right) / len(images)


def _block(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, padding=1, stride=2, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(),
        nn.Conv2d(outputs, outputs, 3, padding=1, bias=False),
        nn.BatchNorm2d(outputs),
    )


def _jitter(images: Tensor) -> Tensor:
    """Shift the whole batch by up to an eighth of its side."""
    reach = images.shape[-1] // 8
    padded = F.pad(images, (reach,) * 4, mode="reflect")
    top, left = torch.randint(2 * reach + 1, (2,)).tolist()
    return padded[..., top : top + images.shape[-2], left : left + images.shape[-1]]
