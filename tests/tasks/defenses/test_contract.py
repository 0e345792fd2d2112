"""What holds for every registered defense."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import FrozenInstanceError, asdict, fields

import pytest
import torch
from torch import Tensor

from gifd_bench.tasks.defenses.base import Defense, PrivateBatch
from gifd_bench.tasks.defenses.knowledge import describe, imitate
from gifd_bench.tasks.defenses.registry import DEFENSES
from gifd_bench.tasks.defenses.top_k import TopK
from gifd_bench.tasks.errors import TaskError
from tests.tasks.defenses.helpers import cosine, difference_of, flat, generator, gradient_of, private_batch

EVERY = pytest.mark.parametrize("name", sorted(DEFENSES.bundled))
# Those that change the update in a way that can be repeated; not noise.
IMITABLE = ["clipping", "none", "quantisation", "sign", "soteria", "sparsification", "top_k"]
SENT = [gradient_of, difference_of]


def built(name: str) -> Defense:
    """A defense with its defaults; top-k in a round that is not its first."""
    return TopK(rounds=3) if name == "top_k" else DEFENSES.find(name)()


@EVERY
def test_a_defense_is_a_frozen_value_with_documented_parameters(name: str) -> None:
    one, same = DEFENSES.find(name)(), DEFENSES.find(name)()
    assert one == same
    assert hash(one) == hash(same)
    for field in fields(one):
        assert f"{field.name}:" in (DEFENSES.find(name).__doc__ or "")
        with pytest.raises(FrozenInstanceError):
            setattr(one, field.name, 0.5)


@EVERY
@pytest.mark.parametrize("images", [1, 3])
@pytest.mark.parametrize("sent", SENT)
def test_names_shapes_and_order_stay_and_the_clean_update_is_left_alone(
    name: str, images: int, sent: Callable[[PrivateBatch], dict[str, Tensor]]
) -> None:
    batch = private_batch(images)
    clean = sent(batch)
    before = {key: value.clone() for key, value in clean.items()}
    weights = {key: value.clone() for key, value in batch.model.state_dict().items()}
    defended = built(name).apply(clean, batch, generator())
    assert list(defended) == list(clean)
    for key, value in defended.items():
        assert value.shape == clean[key].shape
        assert value.dtype == clean[key].dtype
        assert bool(value.isfinite().all())
        assert not value.requires_grad
        assert torch.equal(clean[key], before[key])
    assert all(torch.equal(value, weights[key]) for key, value in batch.model.state_dict().items())


@EVERY
@pytest.mark.parametrize("images", [1, 3])
def test_all_randomness_comes_from_the_generator(name: str, images: int) -> None:
    batch, defense = private_batch(images), built(name)

    def sent() -> Tensor:
        draws = generator(7)
        gradient = defense.gradient(batch, draws)
        names = [key for key, _ in batch.model.named_parameters()]
        return flat(defense.apply(dict(zip(names, gradient, strict=True)), batch, draws))

    torch.manual_seed(1)
    state = torch.random.get_rng_state()
    first = sent()
    assert torch.equal(torch.random.get_rng_state(), state)
    torch.manual_seed(2)
    assert torch.equal(first, sent())


@EVERY
@pytest.mark.parametrize("granted", [False, True])
@pytest.mark.parametrize("sent", SENT)
def test_an_imitation_is_differentiable_and_keeps_what_it_is_given(
    name: str, granted: bool, sent: Callable[[PrivateBatch], dict[str, Tensor]]
) -> None:
    batch, defense = private_batch(3), built(name)
    clean = sent(batch)
    observed = defense.apply(clean, batch, generator())
    imitation = DEFENSES.find(name).imitation(observed, asdict(defense) if granted else None)
    candidate = tuple((2 * value).requires_grad_() for value in clean.values())
    before = [value.detach().clone() for value in candidate]
    imitated = imitation(candidate)
    assert [value.shape for value in imitated] == [value.shape for value in candidate]
    gradients = torch.autograd.grad(flat(imitated).square().sum(), candidate)
    assert all(bool(gradient.isfinite().all()) for gradient in gradients)
    assert float(flat(gradients).abs().sum()) > 0
    assert all(torch.equal(a, b) for a, b in zip(candidate, before, strict=True))
    assert float(imitation.noise_std) >= 0


@EVERY
def test_an_imitation_is_finite_where_nothing_was_sent_and_for_a_candidate_of_zeros(name: str) -> None:
    batch, defense = private_batch(1), built(name)
    nothing = {key: torch.zeros_like(value) for key, value in gradient_of(batch).items()}
    for options in (None, asdict(defense)):
        imitation = DEFENSES.find(name).imitation(nothing, options)
        candidate = tuple(value.clone().requires_grad_() for value in nothing.values())
        imitated = imitation(candidate)
        gradients = torch.autograd.grad(flat(imitated).sum(), candidate)
        assert bool(flat(imitated).isfinite().all())
        assert bool(flat(gradients).isfinite().all())
        assert bool(torch.as_tensor(imitation.noise_std).isfinite())


@pytest.mark.parametrize("name", IMITABLE)
@pytest.mark.parametrize("granted", [False, True])
@pytest.mark.parametrize("images", [1, 3])
@pytest.mark.parametrize("sent", SENT)
def test_the_imitated_truth_is_no_further_from_what_was_sent_than_the_clean_one(
    name: str, granted: bool, images: int, sent: Callable[[PrivateBatch], dict[str, Tensor]]
) -> None:
    batch, defense = private_batch(images), built(name)
    clean = sent(batch)
    observed = defense.apply(clean, batch, generator())
    imitation = DEFENSES.find(name).imitation(observed, asdict(defense) if granted else None)
    imitated = cosine(flat(imitation(tuple(clean.values()))), flat(observed))
    assert imitated >= cosine(flat(clean), flat(observed)) - 1e-9
    if name in {"sign", "soteria", "sparsification"}:
        assert imitated == pytest.approx(1, abs=1e-6)


@EVERY
def test_what_is_described_can_be_imitated(name: str) -> None:
    batch, defense = private_batch(1), built(name)
    clean = gradient_of(batch)
    observed = defense.apply(clean, batch, generator())
    known = describe(defense)
    assert known == (() if name == "none" else ((name, asdict(defense)),))
    directly = DEFENSES.find(name).imitation(observed, asdict(defense))
    update = tuple(clean.values())
    through = imitate(observed, known)
    assert torch.equal(flat(through(update)), flat(directly(update)))
    assert float(through.noise_std) == pytest.approx(float(directly.noise_std))


@EVERY
def test_parameters_that_do_not_exist_are_an_error(name: str) -> None:
    with pytest.raises(TaskError, match=f"defense '{name}' does not take these parameters") as raised:
        imitate({"a": torch.ones(2, 2)}, [(name, {"nonesuch": 1})])
    assert "\n" not in str(raised.value)
