"""DCGAN and its stages.

Radford et al., "Unsupervised representation learning with deep convolutional generative adversarial
networks", ICLR 2016. Tensor names and shapes are those of PyTorch's tutorial and of the CIFAR-10 generator
that GIAS uses (`main.0.weight`, ...).
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import torch
from torch import Tensor, nn

from gifd_bench.priors.base import Prior, State, normal
from gifd_bench.priors.kinds.dcgan import DCGANConfig, config_of
from gifd_bench.priors.tensor_files import check_tensors, read_generator

# Where training scripts keep the generator's state dict in a checkpoint.
NESTED = ("netG_state_dict", "generator", "netG", "state_dict")


class DCGAN(nn.Module):
    """Transposed convolutions with batch normalization.

    They map a latent (B, latent_size, 1, 1) to images in [-1, 1].
    """

    def __init__(self, config: DCGANConfig) -> None:
        super().__init__()
        self.config = config
        layers: list[nn.Module] = []
        for inputs, outputs in pairwise((config.latent_size, *config.channels)):
            # The first one makes 4x4 of a single pixel; the others double the side.
            geometry = (4, 2, 1) if layers else (4, 1, 0)
            layers.append(nn.ConvTranspose2d(inputs, outputs, *geometry, bias=False))
            layers += [nn.BatchNorm2d(outputs), nn.ReLU()]
        last = (4, 2, 1) if config.doubles else (1, 1, 0)
        layers += [nn.ConvTranspose2d(config.channels[-1], 3, *last, bias=False), nn.Tanh()]
        self.main = nn.Sequential(*layers)


class DCGANPrior(Prior):
    """DCGAN in stages: the latent, then the feature after each activation (4x4, 8x8, ...).

    A state holds `z` (B, latent_size) or `feature` (B, C, H, W), and nothing else.
    """

    # Convolution, normalization and activation make a stage; the output layer is the last.
    LAYERS = 3

    def __init__(self, network: DCGAN) -> None:
        super().__init__()
        self.network = network
        self.stages = network.config.stages
        self.image_size = network.config.image_size
        self.class_names = ()
        self.eval().requires_grad_(False)

    def initial_state(self, classes: Tensor, generator: torch.Generator) -> State:
        z = normal(len(classes), self.network.config.latent_size, generator=generator)
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
        PriorError: there is no such file, it is damaged, or its tensors are not those of a generator.
    """
    found = read_generator(path, *NESTED)
    # DataParallel puts a word before every name.
    tensors = {name.removeprefix("module."): tensor for name, tensor in found.items()}
    network = DCGAN(config_of(path, {name: tuple(tensor.shape) for name, tensor in tensors.items()}))
    check_tensors(path, network.state_dict(), tensors)
    network.load_state_dict(tensors)
    return DCGANPrior(network)


def empty_dcgan(config: DCGANConfig) -> DCGANPrior:
    """The prior in a published shape, without weights (on the meta device)."""
    with torch.device("meta"):
        network = DCGAN(config)
    return DCGANPrior(network)
