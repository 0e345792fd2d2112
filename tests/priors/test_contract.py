"""What every prior promises."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from gifd_bench.priors.base import UNKNOWN_CLASS, Prior, State
from gifd_bench.priors.registry import PRIORS
from gifd_bench.priors.weights_file import save_generator
from tests.conftest import make_tiny_generator


def make_options(name: str, folder: Path) -> dict[str, Any]:
    """Options that make a small prior with random weights, in the format of the real one."""
    if name == "generator_file":
        save_generator(folder / "tiny.safetensors", make_tiny_generator())
        return {"weights": folder / "tiny.safetensors"}
    if name == "biggan":
        pytest.importorskip("pytorch_pretrained_biggan")
        from tests.priors import test_biggan

        torch.save(test_biggan.published().state_dict(), folder / "pytorch_model.bin")
        (folder / "config.json").write_text(json.dumps(test_biggan.TINY))
        return {"weights": folder}
    if name == "stylegan2":
        from tests.priors import test_stylegan2

        torch.save(test_stylegan2.published(), folder / "stylegan2.pt")
        return {"weights": folder / "stylegan2.pt"}
    if name == "dcgan":
        from tests.priors import test_dcgan

        torch.save(test_dcgan.published(), folder / "dcgan.pth")
        return {"weights": folder / "dcgan.pth"}
    return {"width": 8} if name == "untrained" else {}


@pytest.fixture(params=sorted(PRIORS))
def prior(request: pytest.FixtureRequest, tmp_path: Path) -> Prior:
    return PRIORS[request.param](**make_options(request.param, tmp_path))


def start(prior: Prior, seed: int = 0, classes: tuple[int, ...] = (0, 1)) -> State:
    return prior.initial_state(torch.tensor(classes), torch.Generator().manual_seed(seed))


def states(prior: Prior, **options: Any) -> list[State]:
    found = [start(prior, **options)]
    while len(found) < len(prior.stages):
        found.append(prior.advance(found[-1]))
    return found


def test_rendering_is_continuous_at_every_stage_boundary(prior: Prior) -> None:
    for seed in range(3):
        images = [prior.render(state) for state in states(prior, seed=seed)]
        for before, after in pairwise(images):
            torch.testing.assert_close(before, after, atol=1e-5, rtol=0)


def test_rendering_is_continuous_after_a_stage_was_searched(prior: Prior) -> None:
    state = start(prior)
    for stage in range(len(prior.stages) - 1):
        moved = {n: state.tensors[n] + 0.1 * torch.randn(state.tensors[n].shape) for n in state.searched}
        state = State(stage, {**state.tensors, **moved}, state.searched)
        advanced = prior.advance(state)
        torch.testing.assert_close(prior.render(state), prior.render(advanced), atol=1e-5, rtol=0)
        state = advanced


def test_there_are_at_least_four_stages_after_the_latent(prior: Prior) -> None:
    assert len(prior.stages) >= 5
    assert [state.stage for state in states(prior)] == list(range(len(prior.stages)))


def test_images_are_in_range_and_of_native_size(prior: Prior) -> None:
    for state in states(prior):
        images = prior.render(state)
        assert images.shape == (2, 3, prior.image_size, prior.image_size)
        assert images.dtype == torch.float32
        assert 0 <= float(images.min()) <= float(images.max()) <= 1


def test_another_size_is_reached_by_area_pooling(prior: Prior) -> None:
    state = start(prior)
    half = prior.image_size // 2
    blocks = prior.render(state).reshape(2, 3, half, 2, half, 2).mean(dim=(3, 5))
    torch.testing.assert_close(prior.render(state, half), blocks)


@pytest.mark.parametrize("classes", [(0, 1), (0, UNKNOWN_CLASS)])
def test_gradients_reach_every_searched_tensor_twice(prior: Prior, classes: tuple[int, ...]) -> None:
    for state in states(prior, classes=classes):
        searched = {name: state.tensors[name].clone().requires_grad_() for name in state.searched}
        images = prior.render(State(state.stage, {**state.tensors, **searched}, state.searched))
        # A loss on a gradient, as every attack has: first and second order both pass through.
        (gradient,) = torch.autograd.grad(images.square().sum(), images, create_graph=True)
        first = torch.autograd.grad(gradient.square().sum(), list(searched.values()), create_graph=True)
        second = torch.autograd.grad(
            torch.stack([f.square().sum() for f in first]).sum(), list(searched.values())
        )
        for tensor in (*first, *second):
            assert bool(torch.isfinite(tensor).all())
            assert float(tensor.detach().abs().sum()) > 0


def test_what_is_not_searched_needs_no_gradient(prior: Prior) -> None:
    assert not any(parameter.requires_grad for parameter in prior.parameters())
    assert not prior.training


def storages(state: State) -> set[int]:
    return {tensor.untyped_storage().data_ptr() for tensor in state.tensors.values()}


def test_two_restarts_share_no_storage(prior: Prior) -> None:
    ours, theirs = states(prior, seed=0), states(prior, seed=1)
    parameters = {p.untyped_storage().data_ptr() for p in prior.parameters()}
    for mine, other in zip(ours, theirs, strict=True):
        assert not storages(mine) & storages(other)
        assert not storages(mine) & parameters


def test_the_generator_is_the_only_source_of_randomness(prior: Prior) -> None:
    torch.manual_seed(1)
    one = start(prior)
    torch.manual_seed(2)
    other = start(prior)
    for name in one.tensors:
        assert torch.equal(one.tensors[name], other.tensors[name])
    other = start(prior, seed=9)
    assert any(not torch.equal(one.tensors[name], other.tensors[name]) for name in one.tensors)


def one_of(state: State, index: int) -> State:
    def row(tensor: Tensor) -> Tensor:
        return tensor[index : index + 1]

    return State(state.stage, {n: row(t) for n, t in state.tensors.items()}, state.searched)


def test_a_batch_equals_its_images_one_by_one(prior: Prior) -> None:
    for state in states(prior):
        batch = prior.render(state)
        for index in range(len(batch)):
            single = prior.render(one_of(state, index))
            torch.testing.assert_close(batch[index : index + 1], single, atol=1e-5, rtol=0)


def test_only_an_unknown_class_is_searched(prior: Prior) -> None:
    if not prior.class_names:
        pytest.skip("an unconditional prior")
    known = start(prior)
    unknown = start(prior, classes=(0, UNKNOWN_CLASS))
    assert set(unknown.searched) - set(known.searched) == {"embedding"}
    assert not torch.equal(known.tensors["embedding"][0], known.tensors["embedding"][1])
    torch.testing.assert_close(unknown.tensors["embedding"][0], known.tensors["embedding"][0])


def test_a_state_that_searches_what_it_does_not_hold_is_an_error() -> None:
    with pytest.raises(ValueError, match="which the state does not hold"):
        State(0, {}, ("z",))
