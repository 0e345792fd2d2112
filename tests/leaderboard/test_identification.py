"""Tracks that score whether reconstructions identify their private images."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from gifd_bench.leaderboard.protocol import Protocol, find_protocol
from gifd_bench.leaderboard.reference import Reference, others_of
from gifd_bench.leaderboard.submission.reconstruction import SubmittedAnswer
from gifd_bench.leaderboard.verification.checks import judge
from tests.leaderboard.helpers import Tampered


@pytest.fixture(scope="module")
def identifying(protocol: Protocol) -> Protocol:
    return replace(protocol, file=protocol.file.model_copy(update={"metrics": ["psnr", "identified"]}))


def test_a_track_that_asks_for_identification_has_it_scored(
    identifying: Protocol, reference: Reference, submission: Tampered
) -> None:
    asked = replace(reference, others=others_of(identifying))
    spent = submission.folder.results["000"]
    truth = reference.truths["000"]
    copy, gray = truth.images, torch.full_like(truth.images, 0.5)
    assert judge(SubmittedAnswer(copy, truth.labels), "000", spent, asked).score.metrics["identified"] == [
        1.0
    ]
    assert judge(SubmittedAnswer(gray, truth.labels), "000", spent, asked).score.metrics["identified"] == [
        0.0
    ]
    # The others are drawn once for a dataset, not for every observation.
    assert len({id(others) for others in asked.others.values()}) == 1


def test_a_track_that_does_not_ask_scores_what_it_always_has(
    protocol: Protocol, reference: Reference, submission: Tampered
) -> None:
    assert not others_of(protocol)
    found = submission.verify(protocol, reference).scores["000"].metrics
    assert "identified" not in found


def test_without_the_dataset_identification_is_missing_and_nothing_else(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    monkeypatch.setenv("GIFD_BENCH_DATA", str(tmp_path_factory.mktemp("empty")))
    protocol = find_protocol("batch8-v1")
    assert "identified" in protocol.file.metrics
    assert others_of(protocol) == {}
