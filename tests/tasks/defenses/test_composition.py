"""Several defenses in turn, and what an attacker is told of them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from gifd_bench.tasks.defenses.base import Defense, NoDefense, PrivateBatch, Update
from gifd_bench.tasks.defenses.clipping import Clipping
from gifd_bench.tasks.defenses.composition import Composition, composed
from gifd_bench.tasks.defenses.dp_sgd import DPSGD
from gifd_bench.tasks.defenses.knowledge import describe, imitate
from gifd_bench.tasks.defenses.noise import GaussianNoise, LaplaceNoise
from gifd_bench.tasks.defenses.sparsification import Sparsification
from gifd_bench.tasks.errors import TaskError
from tests.tasks.defenses.helpers import cosine, flat, generator, gradient_of, private_batch


def test_parts_are_applied_in_order() -> None:
    batch = private_batch(1)
    clean = gradient_of(batch)
    parts = (Clipping(0.5), GaussianNoise(0.1), Sparsification(0.5))
    sent = Composition(parts).apply(clean, batch, generator(4))
    expected = Composition(parts[:1]).apply(clean, batch, generator(4))
    torch.testing.assert_close(flat(expected), flat(clean) * min(1, 0.5 / float(flat(clean).norm())))
    for part in parts[1:]:
        expected = Composition((part,)).apply(expected, batch, generator(4))
    torch.testing.assert_close(flat(sent), flat(expected))
    turned = Composition(parts[::-1]).apply(clean, batch, generator(4))
    assert not torch.equal(flat(turned), flat(sent))


def noise_in(update: dict[str, Tensor], *parts: Defense, seed: int = 4) -> Tensor:
    """What these parts add to an update."""
    return flat(Composition(parts).apply(update, private_batch(1), generator(seed))) - flat(update)


def test_what_a_part_draws_depends_on_its_kind_and_on_nothing_else() -> None:
    zero = {name: torch.zeros_like(value) for name, value in gradient_of(private_batch(1)).items()}
    alone = noise_in(zero, GaussianNoise(0.1))
    assert float(alone.std()) == pytest.approx(0.1, rel=0.05)
    assert torch.equal(noise_in(zero, NoDefense(), Clipping(), GaussianNoise(0.1)), alone)
    laplace = noise_in(zero, LaplaceNoise(0.2))
    for parts in ((GaussianNoise(0.1), LaplaceNoise(0.2)), (LaplaceNoise(0.2), GaussianNoise(0.1))):
        torch.testing.assert_close(noise_in(zero, *parts), alone + laplace)
    assert not torch.equal(noise_in(zero, GaussianNoise(0.1), seed=5), alone)


def test_two_parts_of_a_kind_draw_different_noise() -> None:
    zero = {name: torch.zeros_like(value) for name, value in gradient_of(private_batch(1)).items()}
    twice = noise_in(zero, GaussianNoise(0.1), GaussianNoise(0.1))
    assert float(twice.std()) == pytest.approx(0.1 * math.sqrt(2), rel=0.05)
    # The first is the same as alone.
    second = twice - noise_in(zero, GaussianNoise(0.1))
    assert float(second.std()) == pytest.approx(0.1, rel=0.05)


def test_every_local_step_draws_anew() -> None:
    batch, composition, draws = private_batch(2), Composition((DPSGD(1.0, 1.0),)), generator(3)
    one, two = (flat(composition.gradient(batch, draws)) for _ in range(2))
    assert not torch.equal(one, two)


def test_a_composition_of_nothing_does_nothing() -> None:
    batch = private_batch(1)
    clean = gradient_of(batch)
    assert torch.equal(flat(Composition(()).apply(clean, batch, generator())), flat(clean))
    assert describe(Composition(())) == ()


def test_the_part_that_computes_gradients_in_its_own_way_does_so() -> None:
    batch = private_batch(3)
    private = DPSGD(0.1, 1.0)
    among_others = Composition((Sparsification(0.5), private)).gradient(batch, generator(1))
    assert torch.equal(flat(among_others), flat(composed(private).gradient(batch, generator(1))))
    plain = Composition((Sparsification(0.5), NoDefense())).gradient(batch, generator(1))
    torch.testing.assert_close(flat(plain), flat(gradient_of(batch)))


def test_two_ways_to_compute_a_gradient_are_an_error() -> None:
    with pytest.raises(TaskError, match="DPSGD and DPSGD both compute the gradient"):
        Composition((DPSGD(), Clipping(), DPSGD(2.0)))


def test_a_description_has_every_part_in_order() -> None:
    defense = Composition((Clipping(2.0), NoDefense(), GaussianNoise(0.1)))
    assert describe(defense) == (("clipping", {"bound": 2.0}), ("gaussian_noise", {"std": 0.1}))


def test_a_defense_that_nobody_can_import_cannot_be_described() -> None:
    @dataclass(frozen=True)
    class Odd(Defense):
        def apply(
            self, update: Update, batch: PrivateBatch, generator: torch.Generator
        ) -> dict[str, Tensor]:
            return dict(update)

    with pytest.raises(TaskError, match="Odd is defined where nobody can import it from"):
        describe(Odd())


def test_imitations_follow_each_other_and_their_noises_add_up() -> None:
    batch = private_batch(1)
    clean = gradient_of(batch)
    defense = Composition((Sparsification(0.8), Clipping(0.5)))
    observed = defense.apply(clean, batch, generator())
    for known in (describe(defense), [(name, None) for name, _ in describe(defense)]):
        imitated = imitate(observed, known)(tuple(clean.values()))
        torch.testing.assert_close(flat(imitated), flat(observed))
    noises = [("gaussian_noise", {"std": 3.0}), ("laplace_noise", {"scale": 4.0 / math.sqrt(2)})]
    assert imitate(observed, noises).noise_std == pytest.approx(5)
    estimated = imitate(observed, [("gaussian_noise", {"std": 3.0}), ("gaussian_noise", None)]).noise_std
    assert isinstance(estimated, Tensor)
    assert float(estimated) > 3


def test_noise_after_pruning_is_read_though_the_mask_is_hidden() -> None:
    batch = private_batch(1)
    clean = gradient_of(batch)
    defense = Composition((Sparsification(0.9), GaussianNoise(0.01)))
    observed = defense.apply(clean, batch, generator())
    imitation = imitate(observed, [("sparsification", None), ("gaussian_noise", None)])
    assert float(imitation.noise_std) == pytest.approx(0.01, rel=0.1)
    imitated = flat(imitation(tuple(clean.values())))
    assert cosine(imitated, flat(observed)) >= cosine(flat(clean), flat(observed)) - 1e-9


def test_knowing_of_nothing_imitates_nothing() -> None:
    update = (torch.randn(3),)
    imitation = imitate({"a": torch.zeros(3)}, [])
    assert imitation(update)[0] is update[0]
    assert imitation.noise_std == 0


def test_an_unknown_defense_is_an_error() -> None:
    for options in (None, {"std": 0.1}):
        with pytest.raises(TaskError, match="no defense 'nonesuch'; did you mean none"):
            imitate({"a": torch.zeros(3)}, [("nonesuch", options)])


def test_granted_parameters_are_checked_and_completed() -> None:
    observed = {"a": torch.ones(3)}
    with pytest.raises(TaskError, match="clipping: bound must be a positive number"):
        imitate(observed, [("clipping", {"bound": 0.0})])
    with pytest.raises(TaskError, match="does not take these parameters"):
        imitate(observed, [("clipping", {"bound": "four"})])
    assert imitate(observed, [("gaussian_noise", {})]).noise_std == GaussianNoise().std
