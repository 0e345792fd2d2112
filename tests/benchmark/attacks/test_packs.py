"""Several targets as lanes of one inversion: each is what it is alone."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from gifd_bench.benchmark.attacks.base import Attack
from gifd_bench.benchmark.attacks.ig import IG
from gifd_bench.benchmark.attacks.registry import ATTACKS
from gifd_bench.benchmark.contract.subject import observe
from gifd_bench.benchmark.errors import BenchmarkError
from gifd_bench.benchmark.inversion.reconstruction import Reconstruction
from gifd_bench.benchmark.inversion.targets import unmet_together
from gifd_bench.benchmark.invert import Checkpoint, InversionInterrupted, invert, invert_all
from gifd_bench.priors.base import Prior
from gifd_bench.priors.generators.resnet import ResNetGenerator, ResNetPrior
from gifd_bench.tasks.client import ClientSettings, FedAvg
from gifd_bench.tasks.defenses.base import Defense
from gifd_bench.tasks.defenses.clipping import Clipping
from gifd_bench.tasks.defenses.composition import Composition
from gifd_bench.tasks.defenses.noise import GaussianNoise
from gifd_bench.tasks.defenses.soteria import Soteria
from gifd_bench.tasks.defenses.sparsification import Sparsification
from gifd_bench.tasks.observation import Observation
from gifd_bench.tasks.threat_model import ThreatModel
from tests.benchmark.attacks.test_contract import OPTIONS, component

PACKED = sorted(name for name in ATTACKS.bundled if name not in ("dlg", "idlg"))
# Of classes that the small prior does not know; it knows that of target 1.
TARGETS = (0, 2, 3)
ALL = Composition((Soteria(0.5), Clipping(0.5), GaussianNoise(0.001)))


@pytest.fixture
def double() -> Iterator[None]:
    """In single precision, a gradient that is zero but for rounding may have either sign, of which Adam's
    first step makes a whole one."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(before)


def observations(defense: Defense | None = None, **settings: Any) -> list[Observation]:
    return [observe(defense, target, **settings) for target in TARGETS]


def together(
    attack: Attack, seen: list[Observation], prior: Prior | None, **more: Any
) -> list[Reconstruction]:
    answers = invert_all(attack, seen, prior, range(len(seen)), accelerator="cpu", **more)
    found = [answer for answer in answers if isinstance(answer, Reconstruction)]
    assert len(found) == len(seen)
    return found


def assert_each_is_what_it_is_alone(name: str, seen: list[Observation], prior: Prior, **more: Any) -> None:
    packed = together(component(name, **more).build(), seen, prior)
    for seed, (observation, beside) in enumerate(zip(seen, packed, strict=True)):
        alone = invert(component(name, **more).build(), observation, prior, seed, accelerator="cpu")
        torch.testing.assert_close(beside.curve, alone.curve, rtol=1e-4, atol=1e-8, equal_nan=True)
        torch.testing.assert_close(beside.images, alone.images, rtol=0, atol=1e-4)
        assert torch.equal(beside.labels, alone.labels)
        assert beside.gradient_evaluations == alone.gradient_evaluations
        assert [s.gradient_evaluations for s in beside.stages] == [
            s.gradient_evaluations for s in alone.stages
        ]


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize("batch_size", [1, pytest.param(2, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", PACKED)
def test_each_attack(name: str, batch_size: int, tiny_generator: ResNetGenerator) -> None:
    prior = ResNetPrior(copy.deepcopy(tiny_generator)).double()
    assert_each_is_what_it_is_alone(name, observations(batch_size=batch_size), prior)


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize("at_once", [None, 1, 2])
def test_restarts_of_every_target(at_once: int | None, tiny_prior: Prior) -> None:
    more = {"restarts": 3, "restarts_at_once": at_once}
    assert_each_is_what_it_is_alone("ig", observations(), tiny_prior, **more)


@pytest.mark.usefixtures("double")
def test_restarts_are_dropped_target_by_target(tiny_prior: Prior) -> None:
    more = {"restarts": 4, "keep": "halving", "iterations": 8}
    assert_each_is_what_it_is_alone("ig", observations(), tiny_prior, **more)


@pytest.mark.slow
@pytest.mark.usefixtures("double")
@pytest.mark.parametrize("known", ["unknown", "kind", "parameters"])
@pytest.mark.parametrize("defense", [ALL, Sparsification(0.8)], ids=["all", "sparsification"])
@pytest.mark.parametrize("loss", ["cosine", "euclidean", "layerwise_cosine", "l1"])
def test_defenses_and_losses(loss: str, defense: Defense, known: Any, tiny_prior: Prior) -> None:
    seen = observations(defense, threat_model=ThreatModel(defense=known))
    assert_each_is_what_it_is_alone("ig", seen, tiny_prior, loss=loss)


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize("stop", ["discrepancy", "held_out"])
def test_rules_to_stop_by(stop: str, tiny_prior: Prior) -> None:
    seen = observations(GaussianNoise(0.05), threat_model=ThreatModel(defense="kind"))
    assert_each_is_what_it_is_alone("ig", seen, tiny_prior, stop=stop, restarts=2)


@pytest.mark.slow
@pytest.mark.usefixtures("double")
@pytest.mark.parametrize(
    "client",
    [
        ClientSettings(local=FedAvg(2, 1, 0.05)),
        ClientSettings(clients=2),
        ClientSettings(batch_norm="train"),
    ],
    ids=["local training", "two clients", "batch norm"],
)
def test_clients(client: ClientSettings, tiny_prior: Prior) -> None:
    images = 2 // client.clients
    assert_each_is_what_it_is_alone("ig", observations(batch_size=images, client=client), tiny_prior)


@pytest.mark.slow
@pytest.mark.usefixtures("double")
def test_the_statistics_of_each_batch(tiny_prior: Prior) -> None:
    seen = observations(batch_size=2, threat_model=ThreatModel(bn_statistics="batch"))
    assert_each_is_what_it_is_alone("gi", seen, tiny_prior, batch_norm=1.0)


@pytest.mark.slow
def test_the_same_pack_gives_the_same_bytes_also_after_an_interruption(
    tiny_prior: Prior, tmp_path: Path
) -> None:
    seen = observations()
    whole = together(component("gifd").build(), seen, tiny_prior)
    for stop_at in (0, 3, 5):
        left, path = iter([n == stop_at for n in range(100)]), tmp_path / f"{stop_at}.ckpt"
        stop = Checkpoint(path, 1e9, left.__next__)
        with pytest.raises(InversionInterrupted):
            together(component("gifd").build(), seen, tiny_prior, checkpoint=stop)
        go_on = Checkpoint(path, 1e9, lambda: False)
        again = together(component("gifd").build(), seen, tiny_prior, checkpoint=go_on)
        for one, other in zip(whole, again, strict=True):
            assert one.images.numpy().tobytes() == other.images.numpy().tobytes()
            assert one.curve.numpy().tobytes() == other.curve.numpy().tobytes()


def test_a_target_whose_loss_is_never_finite_costs_the_others_nothing(tiny_prior: Prior) -> None:
    seen = observations()
    expected = together(component("ig").build(), [seen[0], seen[1], seen[1]], tiny_prior)
    update = {name: value * torch.nan for name, value in seen[1].update.items()}
    broken = copy.copy(seen[1])
    object.__setattr__(broken, "labels", torch.tensor([0]))
    object.__setattr__(broken, "update", update)
    first, second, third = invert_all(
        component("ig").build(), [seen[0], broken, seen[1]], None, range(3), accelerator="cpu"
    )
    assert isinstance(second, BenchmarkError)
    assert "never finite" in str(second)
    for found, whole in ((first, expected[0]), (third, expected[2])):
        assert isinstance(found, Reconstruction)
        assert torch.equal(found.images, whole.images)


class MyIG(IG):
    """What it adds may not bear several targets."""


@pytest.mark.parametrize("attack", [ATTACKS.attack_class("dlg"), MyIG])
def test_an_attack_that_does_not_say_that_it_packs_takes_one_target(attack: type[Attack]) -> None:
    with pytest.raises(BenchmarkError, match="takes one target at a time"):
        attack().observe_all(observations(), None, range(3))
    attack().observe_all(observations()[:1], None, [0])


def test_targets_that_are_not_searched_alike_are_an_error(tiny_prior: Prior) -> None:
    known, unknown = observe(target=1), observe(target=2)
    with pytest.raises(BenchmarkError, match="do not search the same: embedding"):
        invert_all(component("latent").build(), [known, unknown], tiny_prior, [0, 1], accelerator="cpu")


def test_what_cannot_be_packed_is_said() -> None:
    one, other = observe(), observe(target=3)
    assert unmet_together(one, other) is None
    assert unmet_together(one, observe(batch_size=2)) == "they differ in batch_size"
    dropout = [observe(target=target, client=ClientSettings(dropout="train")) for target in (0, 1)]
    assert unmet_together(*dropout) == "each client left out other units by dropout"
    weights = {name: value + 1 for name, value in one.weights.items()}
    changed = copy.copy(other)
    object.__setattr__(changed, "weights", weights)
    assert unmet_together(one, changed) == "their victims have other weights"


def test_options_of_the_test_cover_each_attack() -> None:
    assert set(PACKED) < OPTIONS.keys()
