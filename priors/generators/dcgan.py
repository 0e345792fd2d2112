"""DCGAN (Radford et al., "Unsupervised representation learning with deep convolutional generative
adversarial networks", ICLR 2016) at 32x32, and its stages.

Tensor names and shapes are those of the CIFAR-10 generator that GIAS uses (`main.0.weight`, ...).
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import torch
from torch import Tensor, nn

from gifd_bench.priors.base import Prior, State, normal
from gifd_bench.priors.errors import PriorError
from gifd_bench.priors.kinds.dcgan import STAGES
from gifd_bench.priors.tensor_files import check_tensors, read_state_dict


class DCGAN(nn.Module):
    """Transposed convolutions with batch normalisation: a latent (B, latent_size) to (B, 3, 32, 32).

    Args:
        latent_size: entries of the latent (100 in the published weights).
        width: channels of the last feature; the first has eight times as many (64).
    """

    def __init__(self, latent_size: int = 100, width: int = 64) -> None:
        super().__init__()
        self.latent_size = latent_size
        layers: list[nn.Module] = []
        for inputs, outputs in pairwise((latent_size, 8 * width, 4 * width, 2 * width, width)):
            # The first one makes 4x4 of a single pixel; the others double the side.
            geometry = (4, 1, 0) if inputs == latent_size and not layers else (4, 2, 1)
            layers.append(nn.ConvTranspose2d(inputs, outputs, *geometry, bias=False))
            layers += [nn.BatchNorm2d(outputs), nn.ReLU()]
        layers += [nn.ConvTranspose2d(width, 3, 1, bias=False), nn.Tanh()]
        self.main = nn.Sequential(*layers)


class DCGANPrior(Prior):
    """DCGAN in stages: the latent, then the feature after each activation (4x4 to 32x32).

    A state holds `z` (B, latent_size) or `feature` (B, C, H, W), and nothing else.
    """

    # Convolution, normalisation and activation make a stage; the output layer is the last.
    LAYERS = 3

    def __init__(self, network: DCGAN) -> None:
        super().__init__()
        self.network = network
        self.stages = STAGES
        self.image_size = 32
        self.class_names = ()
        self.eval().requires_grad_(False)

    def initial_state(self, classes: Tensor, generator: torch.Generator) -> State:
        z = normal(len(classes), self.network.latent_size, generator=generator)
        return State(0, {"z": z.to(next(self.network.parameters()))}, ("z",))

    def advance(self, state: State) -> State:
        feature = self._run(state, self.LAYERS * (state.stage + 1))
        return State(state.stage + 1, {"feature": feature}, ("feature",))

    def generate(self, state: State) -> Tensor:
        return (self._run(state, len(self.network.main)) + 1) / 2

    def _run(self, state: State, stop: int) -> Tensor:
        """The output of the first `stop` layers."""
        x = state.tensors["feature"] if state.stage else state.tensors["z"][:, :, None, None]
        for layer in self.network.main[self.LAYERS * state.stage : stop]:
            x = layer(x)
        return x


def load_dcgan(path: Path) -> DCGANPrior:
    """The prior of a weights file.

    Raises:
        PriorError: no such file, damaged, or of tensors that make up no generator.
    """
    tensors = read_state_dict(path)
    try:
        latent_size, width = tensors["main.0.weight"].shape[0], tensors["main.10.weight"].shape[0]
    except (KeyError, IndexError) as error:
        raise PriorError(f"{path}: not a DCGAN generator for 32x32 ({error} is missing)") from error
    network = DCGAN(latent_size, width)
    check_tensors(path, network.state_dict(), tensors)
    network.load_state_dict(tensors)
    return DCGANPrior(network)


def empty_dcgan() -> DCGANPrior:
    """The prior in its published shape, without weights (on the meta device)."""
    with torch.device("meta"):
        network = DCGAN()
    return DCGANPrior(network)
