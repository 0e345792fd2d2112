"""A small victim for 32x32 images."""

from __future__ import annotations

from torch import Tensor, nn


class ConvNet(nn.Module):
    """Four 3x3 convolutions with ReLU, two of them strided, and one linear layer.

    About 0.13 M parameters at the default width and 32x32 pixels. It has no normalisation layer, so
    training and evaluation mode are the same.

    Args:
        num_classes: outputs.
        image_size: side of the input in pixels, a multiple of 4.
        width: channels of the first layer; the others have twice as many.
    """

    def __init__(self, num_classes: int, image_size: int, width: int = 32) -> None:
        super().__init__()
        if width < 1 or image_size < 4 or image_size % 4:
            raise ValueError(
                f"convnet needs width >= 1 and a multiple of 4 as size, not {width}, {image_size}"
            )
        self.features = nn.Sequential(
            nn.Conv2d(3, width, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(width, 2 * width, 3, padding=1, stride=2),
            nn.ReLU(),
            nn.Conv2d(2 * width, 2 * width, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(2 * width, 2 * width, 3, padding=1, stride=2),
            nn.ReLU(),
            nn.Flatten(),
        )
        self.classifier = nn.Linear(2 * width * (image_size // 4) ** 2, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.classifier(self.features(x))
        return logits
