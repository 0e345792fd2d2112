"""The victim of the first gradient inversion papers."""

from __future__ import annotations

from torch import Tensor, nn

from gifd_bench.tasks.models.spec import sides

CHANNELS = 12


class LeNet(nn.Module):
    """Convolutions with sigmoids and one linear layer; its arguments are those of the model `lenet`."""

    def __init__(
        self, num_classes: int, image_size: int | tuple[int, int], uniform_weights: bool, channels: int = 3
    ) -> None:
        super().__init__()
        height, width = sides(image_size)
        if min(height, width) < 4 or height % 4 or width % 4:
            raise ValueError(f"lenet needs a multiple of 4 as size, not {height}x{width}")
        self.features = nn.Sequential(
            nn.Conv2d(channels, CHANNELS, 5, padding=2, stride=2),
            nn.Sigmoid(),
            nn.Conv2d(CHANNELS, CHANNELS, 5, padding=2, stride=2),
            nn.Sigmoid(),
            nn.Conv2d(CHANNELS, CHANNELS, 5, padding=2),
            nn.Sigmoid(),
            nn.Flatten(),
        )
        self.classifier = nn.Linear(CHANNELS * (height // 4) * (width // 4), num_classes)
        if uniform_weights:
            for parameter in self.parameters():
                nn.init.uniform_(parameter, -0.5, 0.5)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.classifier(self.features(x))
        return logits
