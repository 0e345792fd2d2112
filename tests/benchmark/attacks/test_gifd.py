"""What GIFD holds its search in, its several starts, and its variant for another distribution."""

from __future__ import annotations

import itertools
import math
from typing import Any

import pytest
import torch

from gifd_bench.benchmark.attacks.gifd import GIFD
from gifd_bench.benchmark.attacks.gifd_ood import GIFDOOD
from gifd_bench.benchmark.attacks.gifd_released import GIFDReleased
from gifd_bench.benchmark.errors import BenchmarkError
from gifd_bench.benchmark.inversion.radii import Growing, PerEntry, PerStage
from gifd_bench.benchmark.invert import invert
from gifd_bench.priors.generators.resnet import ResNetPrior
from gifd_bench.tasks.observation import Observation
from tests.benchmark.attacks.references import Record, recorded
from tests.benchmark.attacks.test_steps import steps
from tests.rounds import make_round


@pytest.mark.slow
def test_the_latent_stays_on_the_sphere_of_its_start(
    observation: Observation, tiny_prior: ResNetPrior
) -> None:
    def norms(sphere: bool) -> list[float]:
        record = steps(GIFD(iterations=6, sphere=sphere), observation, tiny_prior)
        latents = [s["z"] for s in record.searched if "z" in s]
        start = record.began[0]["z"]
        return [float(z.norm() / start.norm()) for z in latents]

    assert norms(True) == pytest.approx([1.0] * 6, rel=1e-5)
    assert max(abs(n - 1) for n in norms(False)) > 0.01


@pytest.mark.slow
def test_each_image_of_a_batch_has_a_sphere_of_its_own(tiny_prior: ResNetPrior) -> None:
    record = steps(GIFD(iterations=5), make_round(3)[0], tiny_prior)
    latents = record.searched[4]["z"].norm(dim=1)
    starts = record.began[4]["z"].norm(dim=1)
    torch.testing.assert_close(latents, starts)
    assert len(set(starts.tolist())) == 3


def test_latents_and_noise_maps_have_balls_of_their_own(
    observation: Observation, tiny_prior: ResNetPrior
) -> None:
    tiny_prior.noise_maps = frozenset({"grain"})
    attack = GIFD(radii=PerEntry(1.0), latent_radii=PerEntry(2.0), noise_radii=PerEntry(3.0))
    alike = GIFD(radii=PerStage((7.0,)), last_stage=1)
    for made in (attack, alike):
        made.observe(observation, tiny_prior, 0)
    for name, expected in (("feature", 5.0), ("latent", 10.0), ("grain", 15.0), ("embedding", 5.0)):
        radii = attack.radii_of(name)
        assert radii is not None
        assert radii.radius(1, 5) == expected
        assert alike.radii_of(name) is alike.options.radii


def test_of_several_starts_the_best_goes_on(observation: Observation, tiny_prior: ResNetPrior) -> None:
    attack = GIFD(iterations=4, starts=3, last_stage=1)
    record, result = recorded(attack, observation, tiny_prior)
    assert record.stages == [0] * 4 + [1] * 4
    assert result.gradient_evaluations == 3 * 4 + 4 + 1
    # The latents differ from start to start, and what stage 1 begins with renders the best iterate of all.
    latents = record.all_lanes[0]["z"]
    assert len({float(latent.norm()) for latent in latents}) == 3
    assert float(result.curve[4]) == pytest.approx(float(result.curve[:4].min()), rel=1e-4)
    assert record.all_lanes[-1]["feature"].shape[0] == 1


@pytest.mark.parametrize(("iterations", "starts", "growth"), [(100, 4, 1.6), (150, 1, 1.0), (20, 3, 2.5)])
def test_the_variant_for_another_distribution_searches_late(
    iterations: int, starts: int, growth: float, tiny_prior: ResNetPrior
) -> None:
    options = GIFDOOD(iterations=iterations, starts=starts, growth=growth).options
    stages = options.stages(tiny_prior.stages)
    assert [stage.members for stage in stages] == [starts, 1, 1, 1, 1]
    assert options.total_evaluations(tiny_prior.stages) - 1 == pytest.approx(5 * iterations, abs=4 + starts)
    for one, following in itertools.pairwise(stage.iterations for stage in stages):
        assert following == pytest.approx(growth * one, abs=growth)


@pytest.mark.slow
def test_it_searches_the_embedding_only_where_the_class_is_unknown(tiny_prior: ResNetPrior) -> None:
    for target, expected in ((0, {"z", "embedding"}), (1, {"z"})):
        record = steps(GIFDOOD(iterations=3, starts=2), make_round(1, target)[0], tiny_prior)
        assert set(record.searched[0]) == expected


def test_growing_radii() -> None:
    radii = Growing(first=0.5, growth=2.0)
    assert [radii.radius(stage, 10) for stage in (1, 2, 3)] == [5.0, 10.0, 20.0]
    for first, growth in ((0.0, 1.0), (1.0, 0.0), (math.nan, 1.0)):
        with pytest.raises(BenchmarkError, match="must be positive"):
            Growing(first, growth)


@pytest.mark.parametrize("options", [{"starts": 0}, {"growth": 0.9}, {"iterations": 0}])
def test_options_that_make_no_sense(options: dict[str, float]) -> None:
    with pytest.raises(BenchmarkError, match="at least 1"):
        GIFDOOD(**options)  # type: ignore[arg-type]


def test_records_are_of_every_iteration(observation: Observation, tiny_prior: ResNetPrior) -> None:
    record: Record = steps(GIFD(iterations=2), observation, tiny_prior)
    assert len(record.searched) == 10


def test_the_released_code_returns_the_last_restart_at_the_stage_of_the_best(
    observation: Observation, tiny_prior: ResNetPrior
) -> None:
    options: dict[str, Any] = {"iterations": 3, "restarts": 3, "sphere": False}
    differs = 0
    for seed in range(4):
        best = invert(GIFD(**options), observation, tiny_prior, seed)
        attack = GIFDReleased(**options)
        returned = invert(attack, observation, tiny_prior, seed)
        last = attack.course.stages_of(0, 2)
        place = [stage.matching_loss for stage in best.stages].index(best.matching_loss)
        assert torch.equal(returned.images, last[place].images)
        assert returned.matching_loss == last[place].matching_loss >= best.matching_loss
        assert torch.equal(returned.curve, best.curve)
        differs += returned.matching_loss > best.matching_loss
    assert differs > 0


def test_the_released_code_of_one_restart_is_gifd_without_a_sphere(
    observation: Observation, tiny_prior: ResNetPrior
) -> None:
    plain = invert(GIFD(iterations=3, sphere=False), observation, tiny_prior, 0)
    released = invert(GIFDReleased(iterations=3, restarts=1), observation, tiny_prior, 0)
    assert torch.equal(plain.images, released.images)
    with pytest.raises(BenchmarkError, match="keep must be all"):
        GIFDReleased(keep="halving")
