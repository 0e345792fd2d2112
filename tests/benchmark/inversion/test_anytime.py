"""Answers of attacks that are stopped earlier."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import torch

from gifd_bench.benchmark.attacks.base import Attack
from gifd_bench.benchmark.attacks.gifd import GIFD
from gifd_bench.benchmark.attacks.ig import IG
from gifd_bench.benchmark.inversion.anytime import next_mark
from gifd_bench.benchmark.inversion.reconstruction import Reconstruction
from gifd_bench.benchmark.invert import Checkpoint, InversionInterrupted, invert
from gifd_bench.benchmark.scoring.identification import Lineup
from gifd_bench.benchmark.scoring.scorer import score
from gifd_bench.priors.generators.resnet import ResNetPrior
from gifd_bench.tasks.datasets.photos import Photos
from gifd_bench.tasks.observation import Observation
from tests.rounds import make_round


def test_marks_are_1_2_5_and_their_decades() -> None:
    marks, last = [], 0
    while last < 10_000:
        last = next_mark(last)
        marks.append(last)
    assert marks == [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000]
    # Where several lanes pass a mark at once, the next one is the one after it.
    assert next_mark(23) == 50


def attacked(
    observation: Observation, attack: type[Attack], prior: ResNetPrior | None, **options: Any
) -> Reconstruction:
    return invert(attack(**options), observation, prior, 0)


def test_a_snapshot_is_the_best_iterate_so_far(observation: Observation) -> None:
    found = attacked(observation, IG, None, iterations=30)
    assert [s.gradient_evaluations for s in found.anytime] == [1, 2, 5, 10, 20]
    for snapshot in found.anytime:
        best = float(found.curve[: snapshot.gradient_evaluations].min())
        assert float(snapshot.matching_loss) == pytest.approx(best, rel=1e-6)
        assert snapshot.images.shape == found.images.shape
        assert 0 <= float(snapshot.images.min()) <= float(snapshot.images.max()) <= 1
    seconds = [snapshot.seconds for snapshot in found.anytime]
    assert seconds == sorted(seconds)


def test_a_snapshot_is_over_all_stages_and_restarts(
    observation: Observation, tiny_prior: ResNetPrior
) -> None:
    options: dict[str, Any] = {"iterations": 6, "restarts": 3}
    found = attacked(observation, GIFD, tiny_prior, **options)
    losses = [float(snapshot.matching_loss) for snapshot in found.anytime]
    assert losses == sorted(losses, reverse=True)
    assert losses[-1] >= found.matching_loss
    assert found.anytime[-1].gradient_evaluations <= found.gradient_evaluations


def test_an_interruption_changes_no_snapshot(observation: Observation, tmp_path: Path) -> None:
    def run(stop: Iterator[bool]) -> Reconstruction:
        checkpoint = Checkpoint(tmp_path / "it.ckpt", 1e9, lambda: next(stop))
        return invert(IG(iterations=12), observation, None, 0, checkpoint=checkpoint)

    whole = attacked(observation, IG, None, iterations=12)
    with pytest.raises(InversionInterrupted):
        run(k == 6 for k in count())
    resumed = run(False for _ in count())
    for mine, theirs in zip(resumed.anytime, whole.anytime, strict=True):
        assert mine.gradient_evaluations == theirs.gradient_evaluations
        assert torch.equal(mine.images, theirs.images)
        assert torch.equal(mine.matching_loss, theirs.matching_loss)


def test_moments_are_scored_each_by_its_own_assignment() -> None:
    observation, truth = make_round(2)
    found = attacked(observation, IG, None, iterations=10)
    scores = score(found, truth, observation, lineup=Lineup(Photos(32), 20))
    assert [m.gradient_evaluations for m in scores.moments] == [1, 2, 5, 10]
    assert all(moment.identified in (0.0, 0.5, 1.0) for moment in scores.moments)
    last = scores.moments[-1]
    assert last.psnr <= max(moment.psnr for moment in scores.moments)
    assert score(found, truth).moments[0].identified is None
