"""The discriminator: residual blocks, a minibatch statistic, and the class by projection."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

GROUP = 4


class DownBlock(nn.Module):
    """A residual block that halves the side; the first one of a network sees raw pixels."""

    def __init__(self, inputs: int, outputs: int, first: bool = False) -> None:
        super().__init__()
        self.first = first
        self.conv1 = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1)
        self.skip = nn.Conv2d(inputs, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        hidden = x if self.first else F.relu(x)
        hidden = self.conv2(F.relu(self.conv1(hidden)))
        skip: Tensor = self.skip(F.avg_pool2d(x, 2))
        return F.avg_pool2d(hidden, 2) + skip


class Discriminator(nn.Module):
    """A network from images (B, 3, S, S) in [-1, 1] and classes (B,) to one realness score for each image.

    The class enters by projection (Miyato and Koyama, ICLR 2018). The last feature map gets one more
    channel, the mean standard deviation within groups of images (Karras et al., "Progressive growing of
    GANs", ICLR 2018, section 3). Without it, the generator soon ignores its latent.

    Args:
        classes: the number of classes.
        channels: output channels of the blocks, each of which halves the side.
    """

    def __init__(self, classes: int, channels: tuple[int, ...]) -> None:
        super().__init__()
        self.blocks = nn.Sequential(
            DownBlock(3, channels[0], first=True),
            *(DownBlock(i, o) for i, o in pairwise(channels)),
        )
        last = channels[-1]
        self.mix = nn.Conv2d(last + 1, last, 3, padding=1)
        self.linear = nn.Linear(last, 1)
        self.embedding = nn.Embedding(classes, last)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight)
        nn.init.normal_(self.embedding.weight, std=0.02)

    def forward(self, images: Tensor, classes: Tensor) -> Tensor:
        hidden = F.relu(self.blocks(images))
        hidden = torch.cat([hidden, _spread(hidden)], dim=1)
        features = F.relu(self.mix(hidden)).mean(dim=(2, 3)).float()
        projection = (self.embedding(classes) * features).sum(dim=1)
        score: Tensor = self.linear(features).squeeze(1) + projection
        return score


def _spread(features: Tensor) -> Tensor:
    """The mean standard deviation over groups of images, as a channel: (B, 1, H, W)."""
    batch, _, height, width = features.shape
    groups = features.float().view(GROUP, batch // GROUP, *features.shape[1:])
    deviation: Tensor = (groups.var(dim=0, unbiased=False) + 1e-8).sqrt().mean(dim=(1, 2, 3))
    return deviation.repeat(GROUP).view(batch, 1, 1, 1).expand(-1, -1, height, width).to(features)
