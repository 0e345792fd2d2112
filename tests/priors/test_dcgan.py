"""DCGAN in the published format, against the layers written out; and the untrained generator."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional as F

from gifd_bench.priors.errors import PriorError
from gifd_bench.priors.generators.untrained import UntrainedPrior
from gifd_bench.priors.kinds.dcgan import dcgan
from gifd_bench.priors.registry import PRIORS

# Index in the published `main`, and shape, of each transposed convolution; width 4 instead of 64.
CONVOLUTIONS = {0: (10, 32, 4, 4), 3: (32, 16, 4, 4), 6: (16, 8, 4, 4), 9: (8, 4, 4, 4), 12: (4, 3, 1, 1)}


def published() -> dict[str, Tensor]:
    random = torch.Generator().manual_seed(0)
    state: dict[str, Tensor] = {}
    for index, shape in CONVOLUTIONS.items():
        state[f"main.{index}.weight"] = 0.3 * torch.randn(shape, generator=random)
        if index < 12:
            norm = f"main.{index + 1}"
            state[f"{norm}.weight"] = 0.5 + torch.rand(shape[1], generator=random)
            state[f"{norm}.bias"] = 0.3 * torch.randn(shape[1], generator=random)
            state[f"{norm}.running_mean"] = 0.3 * torch.randn(shape[1], generator=random)
            state[f"{norm}.running_var"] = 0.5 + torch.rand(shape[1], generator=random)
            state[f"{norm}.num_batches_tracked"] = torch.tensor(7)
    return state


def slow_image(state: dict[str, Tensor], z: Tensor) -> Tensor:
    x = z[:, :, None, None]
    for index in (0, 3, 6, 9):
        x = F.conv_transpose2d(
            x, state[f"main.{index}.weight"], stride=2 if index else 1, padding=int(index > 0)
        )
        norm = {
            part: state[f"main.{index + 1}.{part}"][:, None, None]
            for part in ("weight", "bias", "running_mean", "running_var")
        }
        x = (x - norm["running_mean"]) / (norm["running_var"] + 1e-5).sqrt() * norm["weight"] + norm["bias"]
        x = x.clamp(min=0)
    # The output layer is a weighted sum at each pixel.
    return torch.einsum("bchw,cr->brhw", x, state["main.12.weight"][:, :, 0, 0]).tanh()


def test_the_image_is_that_of_the_layers_written_out(tmp_path: Path) -> None:
    torch.save(published(), tmp_path / "dcgan.pth")
    prior = dcgan(tmp_path / "dcgan.pth")
    state = prior.initial_state(torch.tensor([-1, -1, -1]), torch.Generator().manual_seed(1))
    expected = (slow_image(published(), state.tensors["z"]) + 1) / 2
    torch.testing.assert_close(prior.render(state), expected, atol=1e-5, rtol=0)
    assert prior.stages == ("latent", "4x4", "8x8", "16x16", "32x32")


@pytest.mark.parametrize("key", ["netG_state_dict", "generator", None])
def test_the_generator_of_the_tutorial_loads_from_its_checkpoint(tmp_path: Path, key: str | None) -> None:
    random = torch.Generator().manual_seed(2)
    last = {"main.12.weight": 0.3 * torch.randn(4, 3, 4, 4, generator=random)}
    tensors = {f"module.{name}": tensor for name, tensor in {**published(), **last}.items()}
    torch.save({"epoch": 3, key: tensors} if key else tensors, tmp_path / "g.pth")
    prior = dcgan(tmp_path / "g.pth")
    assert (prior.image_size, prior.stages[-1]) == (64, "32x32")
    state = prior.initial_state(torch.tensor([-1]), torch.Generator().manual_seed(1))
    feature = state
    for _ in prior.stages[1:]:
        feature = prior.advance(feature)
    x = feature.tensors["feature"]
    expected = F.conv_transpose2d(x, last["main.12.weight"], stride=2, padding=1).tanh()
    torch.testing.assert_close(prior.render(state), (expected + 1) / 2, atol=1e-5, rtol=0)


def test_stages_are_read_from_a_header_whatever_its_order(tmp_path: Path) -> None:
    tensors = dict(sorted(published().items()))
    assert list(tensors)[:6] != list(published())[:6]
    save_file(tensors, tmp_path / "dcgan.safetensors")
    names = PRIORS.stage_names("dcgan", {"weights": tmp_path / "dcgan.safetensors"})
    assert (
        names == ("latent", "4x4", "8x8", "16x16", "32x32") == dcgan(tmp_path / "dcgan.safetensors").stages
    )


def test_wrong_files(tmp_path: Path) -> None:
    with pytest.raises(PriorError, match="give a file"):
        dcgan()
    torch.save({"x": torch.zeros(1)}, tmp_path / "x.pth")
    with pytest.raises(PriorError, match=r"x.pth: not a DCGAN generator"):
        dcgan(tmp_path / "x.pth")
    torch.save({**published(), "main.3.weight": torch.zeros(1)}, tmp_path / "y.pth")
    with pytest.raises(PriorError, match=r"'main.3.weight' has shape \(1,\)"):
        dcgan(tmp_path / "y.pth")
    torch.save({**published(), "main.12.weight": torch.zeros(4, 1, 1, 1)}, tmp_path / "gray.pth")
    with pytest.raises(PriorError, match="images of 1 channels; three are expected"):
        dcgan(tmp_path / "gray.pth")


def test_the_untrained_generator_depends_on_its_seed_alone() -> None:
    torch.manual_seed(1)
    one = UntrainedPrior(seed=3).state_dict()
    torch.manual_seed(2)
    two, other = UntrainedPrior(seed=3).state_dict(), UntrainedPrior(seed=4).state_dict()
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert not torch.equal(one["last.weight"], other["last.weight"])


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        ({"size": 30}, "size must be 8, 16, 32, 64, 128, 256, 512, not 30"),
        ({"size": 4}, "size must be"),
        ({"size": 1024}, "size must be"),
        ({"width": 9}, "width must be"),
        ({"latent": 0}, "latent positive"),
    ],
)
def test_bad_sizes_of_the_untrained_generator(options: dict[str, int], fault: str) -> None:
    with pytest.raises(PriorError, match=f"untrained: .*{fault}"):
        UntrainedPrior(**options)
