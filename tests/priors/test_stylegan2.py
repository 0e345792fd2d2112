"""StyleGAN2 against a slow reference: weights modulated sample by sample, filters by zero insertion."""

from __future__ import annotations

import math
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from gifd_bench.priors.base import Prior, State
from gifd_bench.priors.errors import PriorError
from gifd_bench.priors.generators.stylegan2 import StyleGAN2, StyleGAN2Prior
from gifd_bench.priors.kinds.stylegan2 import StyleGAN2Config, stylegan2

STYLE, MAPPING, CHANNELS = 6, 3, (8, 8, 6, 4, 4)


def published() -> dict[str, Tensor]:
    """A state dict in the port's format, names and shapes written out here, with random values."""
    random = torch.Generator().manual_seed(0)

    def normal(*shape: int, std: float = 1.0, mean: float = 0.0) -> Tensor:
        return mean + std * torch.randn(*shape, generator=random)

    line = torch.tensor([1.0, 3.0, 3.0, 1.0])
    kernel = torch.outer(line, line) / 64 * 4
    state: dict[str, Tensor] = {}
    for layer in range(1, MAPPING + 1):
        state[f"style.{layer}.weight"] = normal(STYLE, STYLE, std=100)
        state[f"style.{layer}.bias"] = normal(STYLE, std=10)
    state["input.input"] = normal(1, CHANNELS[0], 4, 4)

    def conv(name: str, inputs: int, outputs: int, size: int) -> None:
        state[f"{name}.conv.weight"] = normal(1, outputs, inputs, size, size)
        state[f"{name}.conv.modulation.weight"] = normal(inputs, STYLE)
        state[f"{name}.conv.modulation.bias"] = normal(inputs, mean=1, std=0.1)

    def styled(name: str, inputs: int, outputs: int) -> None:
        conv(name, inputs, outputs, 3)
        state[f"{name}.noise.weight"] = normal(1, std=0.3)
        state[f"{name}.activate.bias"] = normal(outputs, std=0.3)

    def to_rgb(name: str, inputs: int) -> None:
        conv(name, inputs, 3, 1)
        state[f"{name}.conv.weight"] *= 0.1  # most of the image lies within [-1, 1]
        state[f"{name}.bias"] = normal(1, 3, 1, 1, std=0.1)

    styled("conv1", CHANNELS[0], CHANNELS[0])
    to_rgb("to_rgb1", CHANNELS[0])
    for block, (inputs, outputs) in enumerate(pairwise(CHANNELS)):
        styled(f"convs.{2 * block}", inputs, outputs)
        state[f"convs.{2 * block}.conv.blur.kernel"] = kernel.clone()
        styled(f"convs.{2 * block + 1}", outputs, outputs)
        to_rgb(f"to_rgbs.{block}", outputs)
        state[f"to_rgbs.{block}.upsample.kernel"] = kernel.clone()
    for layer in range(2 * len(CHANNELS) - 1):
        side = 2 ** ((layer + 5) // 2)
        state[f"noises.noise_{layer}"] = normal(1, 1, side, side)
    return state


def linear(state: dict[str, Tensor], name: str, x: Tensor, rate: float = 1.0) -> Tensor:
    weight = state[f"{name}.weight"]
    return x @ (weight * rate / math.sqrt(weight.shape[1])).T + state[f"{name}.bias"] * rate


def lrelu(x: Tensor) -> Tensor:
    return torch.where(x > 0, x, 0.2 * x) * 2**0.5


def filtered(x: Tensor, kernel: Tensor, before: int, after: int) -> Tensor:
    """Pad and correlate with the flipped kernel, channel by channel."""
    padded = F.pad(x, (before, after, before, after))
    channels = [F.conv2d(padded[:, c : c + 1], kernel.flip(0, 1)[None, None]) for c in range(x.shape[1])]
    return torch.cat(channels, dim=1)


def zeros_between(x: Tensor) -> Tensor:
    out = x.new_zeros(*x.shape[:2], 2 * x.shape[2], 2 * x.shape[3])
    out[..., ::2, ::2] = x
    return out


def modulated(state: dict[str, Tensor], name: str, x: Tensor, w: Tensor, demodulate: bool = True) -> Tensor:
    """One set of weights a sample, as the paper writes it."""
    weight = state[f"{name}.conv.weight"][0]
    outputs = []
    for sample, style in zip(x, linear(state, f"{name}.conv.modulation", w), strict=True):
        own = weight * style[None, :, None, None] / math.sqrt(weight[0].numel())
        if demodulate:
            own = own / (own.square().sum(dim=(1, 2, 3), keepdim=True) + 1e-8).sqrt()
        if f"{name}.conv.blur.kernel" in state:
            wide = F.conv_transpose2d(sample[None], own.transpose(0, 1), stride=2)
            outputs.append(filtered(wide, state[f"{name}.conv.blur.kernel"], 1, 1))
        else:
            outputs.append(F.conv2d(sample[None], own, padding=own.shape[-1] // 2))
    return torch.cat(outputs)


def slow_image(state: dict[str, Tensor], w: Tensor, noises: list[Tensor]) -> Tensor:
    def styled(name: str, x: Tensor, style: Tensor, noise: Tensor) -> Tensor:
        x = modulated(state, name, x, style) + state[f"{name}.noise.weight"] * noise
        return lrelu(x + state[f"{name}.activate.bias"][:, None, None])

    def to_rgb(name: str, x: Tensor, style: Tensor) -> Tensor:
        return modulated(state, name, x, style, demodulate=False) + state[f"{name}.bias"]

    x = state["input.input"].repeat(len(w), 1, 1, 1)
    x = styled("conv1", x, w[:, 0], noises[0])
    image = to_rgb("to_rgb1", x, w[:, 1])
    for block in range(len(CHANNELS) - 1):
        x = styled(f"convs.{2 * block}", x, w[:, 2 * block + 1], noises[2 * block + 1])
        x = styled(f"convs.{2 * block + 1}", x, w[:, 2 * block + 2], noises[2 * block + 2])
        larger = filtered(zeros_between(image), state[f"to_rgbs.{block}.upsample.kernel"], 2, 1)
        image = to_rgb(f"to_rgbs.{block}", x, w[:, 2 * block + 3]) + larger
    return image


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "stylegan2.pt"
    torch.save({"g_ema": published(), "latent_avg": torch.zeros(STYLE)}, file)
    return file


def states(prior: Prior) -> list[State]:
    found = [prior.initial_state(torch.tensor([-1, -1]), torch.Generator().manual_seed(0))]
    while len(found) < len(prior.stages):
        found.append(prior.advance(found[-1]))
    return found


def test_the_image_is_that_of_the_slow_reference(path: Path) -> None:
    prior = stylegan2(path)
    assert isinstance(prior, StyleGAN2Prior)
    state = states(prior)[0]
    w = lrelu(prior.mean + prior.deviation * state.tensors["latent"])
    noises = [state.tensors[f"noise {layer}"] for layer in range(9)]
    expected = slow_image(published(), w, noises)
    found = prior.render(state)
    assert prior.image_size == 64
    inside = (expected.abs() < 1).float().mean()
    assert float(inside) > 0.5
    torch.testing.assert_close(found, ((expected + 1) / 2).clamp(0, 1), atol=1e-4, rtol=0)


def test_saturated_pixels_have_a_gradient(path: Path) -> None:
    prior = stylegan2(path)
    state = states(prior)[-1]
    skip = state.tensors["skip"].add(10).requires_grad_()
    images = prior.render(State(state.stage, {**state.tensors, "skip": skip}, state.searched))
    assert bool((images.detach() == 1).all())
    (gradient,) = torch.autograd.grad(images.sum(), skip)
    assert bool((gradient.abs() > 1e-3).any())


def test_the_running_image_is_carried_along(path: Path) -> None:
    prior = stylegan2(path)
    for state in states(prior)[1:]:
        dropped = State(
            state.stage,
            {**state.tensors, "skip": torch.zeros_like(state.tensors["skip"])},
            state.searched,
        )
        assert float((prior.render(state) - prior.render(dropped)).abs().max()) > 0.01


def test_the_gaussian_is_that_of_the_mapping_network_before_its_last_activation(path: Path) -> None:
    prior, state = stylegan2(path), published()
    z = torch.randn(50_000, STYLE, generator=torch.Generator().manual_seed(5))
    x = z / (z.square().mean(dim=1, keepdim=True) + 1e-8).sqrt()
    for layer in range(1, MAPPING + 1):
        before = linear(state, f"style.{layer}", x, rate=0.01)
        x = lrelu(before)
    torch.testing.assert_close(prior.mean, before.mean(dim=0), atol=0.05, rtol=0.05)
    torch.testing.assert_close(prior.deviation, before.std(dim=0), atol=0.05, rtol=0.05)


def test_what_each_stage_searches(path: Path) -> None:
    searched = [state.searched for state in states(stylegan2(path))]
    assert searched[0] == ("latent", *(f"noise {k}" for k in range(5)))
    assert searched[1] == ("feature", "latent", *(f"noise {k}" for k in range(1, 7)))
    assert searched[2] == ("feature", "latent", *(f"noise {k}" for k in range(3, 9)))
    assert searched[4] == ("feature", "latent", "noise 7", "noise 8")


def test_a_bare_state_dict_is_read_too(tmp_path: Path) -> None:
    torch.save(published(), tmp_path / "bare.pt")
    assert stylegan2(tmp_path / "bare.pt").image_size == 64


def test_the_published_size_has_the_layers_of_the_port() -> None:
    channels = (512, 512, 512, 512, 512, 256, 128, 64, 32)
    with torch.device("meta"):
        shapes = StyleGAN2(StyleGAN2Config(512, 8, channels)).state_dict()
    assert (
        sum(p.numel() for n, p in shapes.items() if "noises" not in n and "kernel" not in n) == 30_370_060
    )
    assert shapes["convs.15.conv.weight"].shape == (1, 32, 32, 3, 3)
    assert shapes["noises.noise_16"].shape == (1, 1, 1024, 1024)
    assert StyleGAN2Config(512, 8, channels).latents == 18


def expect(path: Path, message: str) -> None:
    with pytest.raises(PriorError) as error:
        stylegan2(path)
    assert message in str(error.value)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"g_ema": {"a": torch.zeros(1)}}, "not a StyleGAN2 generator"),
        ([1, 2], "a state dict is expected"),
        ({"g_ema": {**published(), "more": torch.zeros(1)}}, "'more' is unexpected"),
        ({**published(), "input.input": torch.zeros(1, 8, 8, 8)}, "'input.input' has shape (1, 8, 8, 8)"),
    ],
)
def test_wrong_content(tmp_path: Path, content: Any, message: str) -> None:
    torch.save(content, tmp_path / "it.pt")
    expect(tmp_path / "it.pt", message)


def test_a_missing_and_a_truncated_file(tmp_path: Path, path: Path) -> None:
    expect(tmp_path / "none.pt", "no such weights file")
    path.write_bytes(path.read_bytes()[:5000])
    expect(path, "damaged weights file")
