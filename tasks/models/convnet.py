"""A small victim for 32x32 images."""

from __future__ import annotations

from torch import Tensor, nn

from gifd_bench.tasks.models.spec import sides


class ConvNet(nn.Module):
    """Convolutions and one linear layer; its arguments are those of the model `convnet`."""

    def __init__(
        self, num_classes: int, image_size: int | tuple[int, int], width: int, channels: int = 3
    ) -> None:
        super().__init__()
        height, breadth = sides(image_size)
        if not 1 <= width <= 4096 or min(height, breadth) < 4 or height % 4 or breadth % 4:
            raise ValueError(
                f"convnet needs width 1 to 4096 and size a multiple of 4, not {width}, {height}x{breadth}"
            )
        self.features = nn.Sequential(
            nn.Conv2d(channels, width, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(width, 2 * width, 3, padding=1, stride=2),
            nn.ReLU(),
            nn.Conv2d(2 * width, 2 * width, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(2 * width, 2 * width, 3, padding=1, stride=2),
            nn.ReLU(),
            nn.Flatten(),
        )
        self.classifier = nn.Linear(2 * width * (height // 4) * (breadth // 4), num_classes)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.classifier(self.features(x))
        return logits
