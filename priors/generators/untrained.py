"""An untrained convolutional generator, whose architecture alone is the prior.

Ulyanov et al., "Deep image prior", CVPR 2018. It serves attacks that search the weights of a generator.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gifd_bench.priors.base import Prior, State, normal
from gifd_bench.priors.errors import PriorError
from gifd_bench.priors.kinds.untrained import stages_of


class UntrainedPrior(Prior):
    """Convolutions and bilinear upsampling with random weights, in stages.

    It has group normalization in place of batch normalization, so that an image does not depend on the
    other images of its batch. A state holds `z` (B, latent, 4, 4) or `feature` (B, width, H, W).

    Args:
        size: side of the image in pixels: 8, 16, 32, ... 512.
        width: channels of every feature.
        latent: channels of the latent.
        seed: the seed of the weights.
    """

    def __init__(self, size: int = 32, width: int = 64, latent: int = 32, seed: int = 0) -> None:
        super().__init__()
        self.stages = stages_of(size)
        if width < 8 or width % 8 or latent < 1:
            raise PriorError(
                f"untrained: width must be a multiple of 8 and latent positive, not {width} and {latent}"
            )
        self.image_size = size
        self.class_names = ()
        self.latent = latent
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.first = _layer(latent, width)
            self.blocks = nn.ModuleList(_layer(width, width) for _ in self.stages[2:])
            self.last = nn.Conv2d(width, 3, 3, padding=1)
        self.eval().requires_grad_(False)

    def initial_state(self, classes: Tensor, generator: torch.Generator) -> State:
        z = normal(len(classes), self.latent, 4, 4, generator=generator)
        return State(0, {"z": z.to(self.last.weight)}, ("z",))

    def advance(self, state: State) -> State:
        feature = self._run(state, state.stage + 1)
        return State(state.stage + 1, {"feature": feature}, ("feature",))

    def generate(self, state: State) -> Tensor:
        return torch.sigmoid(self.last(self._run(state, len(self.stages) - 1)))

    def _run(self, state: State, stop: int) -> Tensor:
        """The feature of stage `stop`."""
        stage = state.stage
        feature: Tensor = state.tensors["feature"] if stage else self.first(state.tensors["z"])
        for block in self.blocks[max(stage, 1) - 1 : stop - 1]:
            feature = block(F.interpolate(feature, scale_factor=2.0, mode="bilinear"))
        return feature


def _layer(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, padding=1), nn.GroupNorm(8, outputs), nn.LeakyReLU(0.2)
    )
