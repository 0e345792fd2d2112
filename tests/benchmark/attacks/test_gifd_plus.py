"""GIFD as it is on clean updates, and what takes its place on noisy ones."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gifd_bench.benchmark.attacks.generator_options import GIFDPlusOptions
from gifd_bench.benchmark.attacks.gifd import GIFD
from gifd_bench.benchmark.attacks.gifd_plus import GIFDPlus, _in_order_of
from gifd_bench.benchmark.inversion.simulation import SimulatedClient
from gifd_bench.benchmark.invert import invert, invert_all
from gifd_bench.priors.generators.resnet import ResNetPrior
from gifd_bench.tasks.defenses.noise import GaussianNoise
from gifd_bench.tasks.observation import Observation
from gifd_bench.tasks.threat_model import ThreatModel
from tests.rounds import make_task

STAGES = ("latent", "8x8", "16x16", "32x32", "output")


def noisy(batch_size: int = 1, target: int = 0, std: float = 0.01) -> Observation:
    """An update under noise of a kind that the attacker knows."""
    task = make_task(batch_size, threat_model=ThreatModel(defense="kind"))
    return task.observe(task.truth(target), GaussianNoise(std), model_seed=0, defense_seed=0)


def test_on_a_clean_update_it_is_gifd(observation: Observation, tiny_prior: ResNetPrior) -> None:
    plus = invert(GIFDPlus(iterations=3, restarts=2), observation, tiny_prior, 0)
    gifd = invert(GIFD(iterations=3, restarts=2), observation, tiny_prior, 0)
    assert torch.equal(plus.images, gifd.images)
    assert torch.equal(plus.curve, gifd.curve)
    assert [stage.name for stage in plus.stages] == list(tiny_prior.stages)


def test_on_a_noisy_update_the_answer_is_the_mean_of_restarts(tiny_prior: ResNetPrior) -> None:
    observation = noisy()
    attack = GIFDPlus(iterations=6, noisy_restarts=3)
    answer = invert(attack, observation, tiny_prior, 0)
    assert [stage.name for stage in answer.stages] == ["latent", "weights"]
    bests = [
        min(attack.course.stages_of(0, restart), key=lambda stage: stage.matching_loss).images
        for restart in range(3)
    ]
    assert len({float(images.sum()) for images in bests}) == 3
    torch.testing.assert_close(answer.images, torch.stack(bests).mean(dim=0))
    client = SimulatedClient(observation, torch.device("cpu"))
    with torch.no_grad():
        update = client.update(answer.images, answer.labels)
    flat, observed = (torch.cat([t.flatten() for t in each]) for each in (update, client.observed))
    distance = 1 - torch.cosine_similarity(flat, observed, dim=0)
    assert answer.matching_loss == pytest.approx(float(distance), rel=1e-4)


def test_it_can_be_told_what_the_update_is(observation: Observation, tiny_prior: ResNetPrior) -> None:
    clean = invert(GIFDPlus(iterations=2, noisy=False), noisy(), tiny_prior, 0)
    assert [stage.name for stage in clean.stages] == list(tiny_prior.stages)
    searched = invert(GIFDPlus(iterations=2, noisy=True), observation, tiny_prior, 0)
    assert [stage.name for stage in searched.stages] == ["latent", "weights"]


def test_one_restart_is_the_search_of_the_weights_alone(tiny_prior: ResNetPrior) -> None:
    answer = invert(GIFDPlus(iterations=4, noisy_restarts=1), noisy(), tiny_prior, 0)
    assert [stage.name for stage in answer.stages] == ["latent", "weights"]
    assert answer.matching_loss == min(stage.matching_loss for stage in answer.stages)


def test_each_of_several_targets_has_its_own_mean(tiny_prior: ResNetPrior) -> None:
    observations = [noisy(target=target) for target in (0, 2)]
    together = invert_all(GIFDPlus(iterations=4), observations, tiny_prior, [0, 1])
    for seed, (observation, beside) in enumerate(zip(observations, together, strict=True)):
        alone = invert(GIFDPlus(iterations=4), observation, tiny_prior, seed)
        assert not isinstance(beside, Exception)
        torch.testing.assert_close(beside.images, alone.images, atol=2e-3, rtol=0)
        assert beside.gradient_evaluations == alone.gradient_evaluations


@given(
    iterations=st.lists(st.integers(1, 60), min_size=1, max_size=5),
    parts=st.integers(1, 8),
    starts=st.integers(1, 3),
    restarts=st.integers(1, 3),
)
def test_shorter_restarts_need_no_more_evaluations(
    iterations: list[int], parts: int, starts: int, restarts: int
) -> None:
    options = GIFDPlusOptions(
        iterations=tuple(iterations),
        last_stage=len(iterations) - 1,
        noisy_restarts=parts,
        starts=starts,
        restarts=restarts,
    )
    divided = options.divided(STAGES)
    assert divided.noisy
    averaged = divided.restarts > options.restarts
    planned = replace(options, noisy=False).total_evaluations(STAGES)
    # One for the mean of the restarts.
    assert divided.total_evaluations(STAGES) + averaged <= planned
    assert divided.restarts in {options.restarts * few for few in range(1, parts + 1)}


def test_images_of_one_label_are_averaged_with_those_like_them() -> None:
    images = torch.rand(4, 3, 8, 8)
    labels = torch.tensor([1, 2, 1, 1])
    assert torch.equal(_in_order_of(images, images[[2, 1, 3, 0]], labels), images)
    # An image of another label keeps its place, even if it is the most alike.
    swapped = images[[1, 0, 2, 3]]
    assert torch.equal(_in_order_of(images, swapped, labels)[1], swapped[1])


@pytest.mark.slow
def test_on_a_batch_the_mean_is_as_wide_as_the_batch(tiny_prior: ResNetPrior) -> None:
    answer = invert(GIFDPlus(iterations=4), noisy(batch_size=3), tiny_prior, 0)
    assert answer.images.shape == (3, 3, 32, 32)
    assert 0 <= float(answer.images.min()) <= float(answer.images.max()) <= 1
