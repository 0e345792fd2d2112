"""Twins: secret observations like a track's, on which a class that has learned the track by heart fails."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
import torch

from gifd_bench.leaderboard.protocol import Protocol, find_protocol, read_protocol
from gifd_bench.leaderboard.reference import Reference
from gifd_bench.leaderboard.rerun.job import RerunLimits
from gifd_bench.leaderboard.twins import NoTwins, draw_twins
from gifd_bench.leaderboard.verification.report import Standing, Verdict, Verification
from gifd_bench.leaderboard.verification.rerun import RerunRequest
from gifd_bench.leaderboard.verification.rescore import rescored
from gifd_bench.leaderboard.verification.twins import fall
from tests.leaderboard.helpers import Tampered, check_of, write_protocol
from tests.leaderboard.test_cheating import HONEST, carry

# Answers an observation that it knows with the truth, and any other honestly.
MEMORY = """
import torch
from gifd_bench.benchmark.attacks.ig import IG

KNOWN = {known!r}

class Mine(IG):
    "Knows the track by heart."

    def fixed_labels(self, observation):
        norm = float(sum(tensor.double().square().sum() for tensor in observation.update.values()))
        near = [image for seen, image in KNOWN if abs(seen - norm) < 1e-6 * norm]
        self.known = torch.tensor(list(near[0])).reshape(1, 1, 3, 16, 16) / 255 if near else None
        return super().fixed_labels(observation)

    def render(self, search):
        images = super().render(search)
        return images if self.known is None else 0 * images + self.known
"""


def verified(submission: Tampered, protocol: Protocol, reference: Reference, folder: Path) -> Verification:
    request = RerunRequest(None, RerunLimits(60.0, 1.0), folder=folder, jobs=2, twins=4)
    return submission.verify(protocol, reference, request=request)


@pytest.mark.slow
@pytest.mark.usefixtures("sandbox")
def test_a_class_that_knows_the_track_by_heart_is_flagged(
    submission: Tampered, protocol: Protocol, reference: Reference, tmp_path: Path
) -> None:
    known = []
    for name, truth in reference.truths.items():
        update = reference.observations.load(name).update
        norm = float(sum(tensor.double().square().sum() for tensor in update.values()))
        # A little noise, lest it is told by being exactly the truth.
        noisy = (truth.images + 0.02 * torch.randn(truth.images.shape)).clamp(0, 1)
        known.append((norm, bytes((255 * noisy).round().to(torch.uint8).flatten().tolist())))
    carry(submission, MEMORY.format(known=known))
    # The search's iterations are worth nothing to it; on the twins it has as few.
    submission.change_file(lambda file: file["rerun"]["attack"]["options"].update(iterations=20))
    found = verified(submission, protocol, reference, tmp_path)
    assert check_of(found, "rerun").verdict is Verdict.PASSED, check_of(found, "rerun")
    twins = check_of(found, "twins")
    assert twins.verdict is Verdict.FLAGGED, twins
    assert "on 4 secret twins than on the track" in twins.detail
    assert found.standing is Standing.FLAGGED
    # A new score of the images asks for the person again, and keeps what was found.
    assert check_of(rescored(submission.folder, protocol, reference, found), "twins") == twins
    assert found.cleared({"twins", "rerun_closeness"}).standing is Standing.VERIFIED


@pytest.mark.slow
@pytest.mark.usefixtures("sandbox")
def test_an_honest_attack_is_not(
    submission: Tampered, protocol: Protocol, reference: Reference, tmp_path: Path
) -> None:
    carry(submission, HONEST)
    found = verified(submission, protocol, reference, tmp_path)
    assert check_of(found, "twins").verdict is Verdict.PASSED, check_of(found, "twins")
    assert found.standing is Standing.VERIFIED
    assert found.rerun == 3


def test_twins_are_of_other_images_of_every_task_and_defense(tmp_path: Path) -> None:
    defenses = {"none": None, "noise": {"use": "gaussian_noise", "std": 0.1}}
    track = read_protocol(write_protocol(tmp_path, defenses=defenses))
    drawn = draw_twins(track, 6, 1)
    assert sorted(one.defense.label for one in drawn.values()) == ["noise"] * 3 + ["none"] * 3
    used = {one.task.build().batches[one.target] for one in track.rounds.values()}
    images = [one.task.build().batches[one.target] for one in drawn.values()]
    assert used.isdisjoint(images)
    assert len(set(images)) == 6
    assert list(draw_twins(track, 9, 1).values())[:6] == list(drawn.values())
    assert list(draw_twins(track, 6, 2).values()) != list(drawn.values())
    # Six victims, whose weights do not follow from the track's public seed.
    assert len({one.seed for one in drawn.values()} - {0}) == 6
    # Seven of the ten photographs are left.
    assert len(draw_twins(track, 50, 1)) == 7


def test_where_all_images_are_used_there_are_none() -> None:
    with pytest.raises(NoTwins, match="no images that it does not use"):
        draw_twins(find_protocol("photos-v1"), 8, 1)


@pytest.mark.slow
def test_a_difference_that_chance_makes_is_within_its_margin_19_times_in_20() -> None:
    draw, inside, groups = random.Random(0), 0, [("a", "none"), ("a", "noise"), ("b", "none")]
    for _ in range(1000):
        level = {group: draw.uniform(10, 40) for group in groups}
        track = {group: [draw.gauss(level[group], 3) for _ in range(6)] for group in groups}
        twins = {
            group: [draw.gauss(level[group], 3) for _ in range(n)] for n, group in enumerate(groups, 1)
        }
        its = fall(track, twins)
        inside += abs(its.mean) <= its.margin
    assert 930 <= inside <= 970
    alone = fall({("a", "none"): [30.0]}, {("a", "none"): [10.0]})
    assert alone.mean == 20
    assert alone.margin == float("inf")
