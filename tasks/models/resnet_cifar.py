"""The residual networks of the CIFAR-10 experiments."""

from __future__ import annotations

from itertools import pairwise
from typing import Literal

from torch import Tensor, nn
from torch.nn import functional as F

from gifd_bench.tasks.models.spec import sides


class ResNetCIFAR(nn.Module):
    """Residual blocks and one linear layer; its arguments are those of the model `resnet_cifar`."""

    def __init__(
        self,
        num_classes: int,
        image_size: int | tuple[int, int],
        depth: Literal[20, 32, 44, 56],
        width: int,
        channels: int = 3,
    ) -> None:
        super().__init__()
        if depth not in (20, 32, 44, 56) or not 1 <= width <= 4096 or min(sides(image_size)) < 4:
            raise ValueError(
                "resnet_cifar needs depth 20, 32, 44 or 56, a width of 1 to 4096 and size >= 4, "
                f"not {depth}, {width}, {image_size}"
            )
        self.stem = nn.Sequential(
            nn.Conv2d(channels, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU()
        )
        blocks = (depth - 2) // 6
        widths = [width] * (blocks + 1) + [2 * width] * blocks + [4 * width] * blocks
        self.blocks = nn.Sequential(*(BasicBlock(i, o) for i, o in pairwise(widths)))
        self.classifier = nn.Linear(4 * width, num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.classifier(self.blocks(self.stem(x)).mean(dim=(2, 3)))
        return logits


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut; if the number of channels grows, the resolution is halved."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.stride = 1 if inputs == outputs else 2
        self.added_channels = outputs - inputs
        self.residual = nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, padding=1, stride=self.stride, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(),
            nn.Conv2d(outputs, outputs, 3, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
        )

    def forward(self, x: Tensor) -> Tensor:
        # Option A: every second pixel, and zeros for the channels that are new.
        shortcut = F.pad(x[..., :: self.stride, :: self.stride], (0, 0, 0, 0, 0, self.added_channels))
        return F.relu(self.residual(x) + shortcut)
