"""A small victim for 32x32 images."""

from __future__ import annotations

from torch import Tensor, nn


class ConvNet(nn.Module):
    """Convolutions and one linear layer; arguments as of the model `convnet`."""

    def __init__(self, num_classes: int, image_size: int, width: int) -> None:
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
