"""The contract of defenses: kept by those that are here, and broken in every way that it names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
from torch import Tensor

from gifd_bench.benchmark.contract import defenses
from gifd_bench.benchmark.contract.defenses import CHECKS, DefenseSubject
from gifd_bench.benchmark.contract.subject import Broken
from gifd_bench.tasks.defenses.base import Defense, Imitation, PrivateBatch, Update
from gifd_bench.tasks.defenses.registry import DEFENSES


@pytest.mark.parametrize(
    "name",
    # Soteria takes a gradient for each feature of every image.
    [pytest.param(n, marks=pytest.mark.slow) if n == "soteria" else n for n in sorted(DEFENSES.bundled)],
)
def test_every_bundled_defense_keeps_it(name: str) -> None:
    for check in CHECKS:
        check(DefenseSubject(DEFENSES.find(name)))


class Scales(Imitation):
    def __init__(self, factor: float) -> None:
        self.factor = factor

    def __call__(self, update: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        return tuple(self.factor * value for value in update)


@dataclass(frozen=True)
class Good(Defense):
    """Scales the update, with a little noise."""

    factor: float = 0.5

    def apply(self, update: Update, batch: PrivateBatch, generator: torch.Generator) -> dict[str, Tensor]:
        return {
            name: self.factor * value + 1e-3 * torch.randn(value.shape, generator=generator)
            for name, value in update.items()
        }

    @classmethod
    def imitation(cls, observed: Update, options: Mapping[str, Any] | None) -> Imitation:
        return Scales(1.0 if options is None else options["factor"])


class Undecorated(Good):
    def __init__(self, factor: float = 0.5) -> None:
        super().__init__(factor)
        self.memory = 0


@dataclass(frozen=True)
class HoldsATensor(Good):
    table: Any = field(default_factory=lambda: torch.zeros(1))


@dataclass(frozen=True)
class Forgets(Good):
    def __post_init__(self) -> None:
        object.__setattr__(self, "factor", self.factor / 2)


class InPlace(Good):
    def apply(self, update: Update, batch: PrivateBatch, generator: torch.Generator) -> dict[str, Tensor]:
        for value in update.values():
            value.mul_(0.5)
        return dict(update)


class ChangesTheModel(Good):
    def apply(self, update: Update, batch: PrivateBatch, generator: torch.Generator) -> dict[str, Tensor]:
        with torch.no_grad():
            next(batch.model.parameters()).zero_()
        return dict(update)


class LeavesOut(Good):
    def apply(self, update: Update, batch: PrivateBatch, generator: torch.Generator) -> dict[str, Tensor]:
        return dict(list(super().apply(update, batch, generator).items())[1:])


class Doubles(Good):
    def apply(self, update: Update, batch: PrivateBatch, generator: torch.Generator) -> dict[str, Tensor]:
        return {name: value.double() for name, value in update.items()}


class NotFinite(Good):
    def apply(self, update: Update, batch: PrivateBatch, generator: torch.Generator) -> dict[str, Tensor]:
        return {name: value / 0 for name, value in update.items()}


class ShortGradient(Good):
    def gradient(self, batch: PrivateBatch, generator: torch.Generator) -> tuple[Tensor, ...]:
        return super().gradient(batch, generator)[1:]


class FlatGradient(Good):
    def gradient(self, batch: PrivateBatch, generator: torch.Generator) -> tuple[Tensor, ...]:
        return tuple(value.flatten() for value in super().gradient(batch, generator))


class Global(Good):
    def apply(self, update: Update, batch: PrivateBatch, generator: torch.Generator) -> dict[str, Tensor]:
        return {name: value + torch.randn_like(value) for name, value in update.items()}


class Remembers(Good):
    calls = 0

    def apply(self, update: Update, batch: PrivateBatch, generator: torch.Generator) -> dict[str, Tensor]:
        type(self).calls += 1
        return {name: value * self.calls for name, value in update.items()}


class OnlyGradients(Good):
    def apply(self, update: Update, batch: PrivateBatch, generator: torch.Generator) -> dict[str, Tensor]:
        if len(batch.inputs) == 2:
            return {name: value * torch.inf for name, value in update.items()}
        return dict(update)


class Imitates(Good):
    """Whose imitation is given by a subclass."""

    def __call__(self, update: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        raise NotImplementedError

    noise_std = 0.0

    @classmethod
    def imitation(cls, observed: Update, options: Mapping[str, Any] | None) -> Any:
        return cls()


class OtherShapes(Imitates):
    def __call__(self, update: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        return tuple(value.flatten() for value in update)


class NoSlope(Imitates):
    def __call__(self, update: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        return tuple(value.detach() for value in update)


class ZeroSlope(Imitates):
    def __call__(self, update: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        return tuple(0 * value for value in update)


class InfiniteSlope(Imitates):
    def __call__(self, update: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        return tuple((0 * value).abs().sqrt() for value in update)


class OverwritesTheCandidate(Imitates):
    def __call__(self, update: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        sent = tuple(value * 1.0 for value in update)
        with torch.no_grad():
            update[0].add_(1)
        return sent


class NegativeNoise(Imitates):
    noise_std = -1.0

    def __call__(self, update: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        return update


@pytest.mark.parametrize(
    ("check", "wrong", "message"),
    [
        (defenses.is_a_frozen_value, Undecorated, "'memory' is an attribute but no field"),
        (defenses.is_a_frozen_value, HoldsATensor, "no JSON values"),
        (defenses.is_a_frozen_value, Forgets, "not equal to itself"),
        (
            defenses.leaves_what_it_is_given_as_it_is,
            InPlace,
            "changes the update of 'features.0.weight' in place",
        ),
        (
            defenses.leaves_what_it_is_given_as_it_is,
            ChangesTheModel,
            "changes the model's 'features.0.weight'",
        ),
        (defenses.sends_an_update_of_the_same_form, LeavesOut, "not the parameters in their order"),
        (defenses.sends_an_update_of_the_same_form, Doubles, "float64, not"),
        (defenses.sends_an_update_of_the_same_form, NotFinite, "is not finite"),
        (defenses.computes_a_gradient_of_the_same_form, ShortGradient, "9 gradients for 10 parameters"),
        (defenses.computes_a_gradient_of_the_same_form, FlatGradient, r"\(108,\) .*, not \(4, 3, 3, 3\)"),
        (defenses.draws_from_its_generator_alone, Global, "draws from the global random generator"),
        (defenses.draws_from_its_generator_alone, Remembers, "other bytes the second time"),
        (
            defenses.takes_part_in_every_round,
            OnlyGradients,
            "an update that says nothing: .* is not finite",
        ),
        (defenses.can_be_imitated, OtherShapes, "other shapes"),
        (defenses.can_be_imitated, NoSlope, "not differentiable"),
        (defenses.can_be_imitated, ZeroSlope, "derivative of the imitation is zero"),
        (defenses.can_be_imitated, InfiniteSlope, "derivative of the imitation is not finite"),
        (defenses.can_be_imitated, OverwritesTheCandidate, "changes the candidate in place"),
        (defenses.can_be_imitated, NegativeNoise, "noise_std is -1.0"),
    ],
)
def test_whoever_breaks_it_is_told_how(
    check: Callable[[DefenseSubject], None], wrong: type[Defense], message: str
) -> None:
    check(DefenseSubject(Good))
    with pytest.raises(Broken, match=message) as error:
        check(DefenseSubject(wrong))
    assert "\n" not in str(error.value)


def test_every_promise_is_listed_once_and_says_what_it_checks() -> None:
    assert len(set(CHECKS)) == len(CHECKS)
    assert all((check.__doc__ or "").strip().endswith(".") for check in CHECKS)
