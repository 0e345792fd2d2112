"""The verdict: what is said of which finding, and what is never taken for safety."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from gifd_bench.benchmark.auditing.verdict import JudgedAnswer, judge
from tests.benchmark.auditing.helpers import DOUBT, SHAPE, check, found, judged, owned


@pytest.mark.parametrize(
    ("place", "ssim", "outcome"),
    [
        (1, 0.5, "recognized"),
        (1, 0.49, "partly"),
        (1, None, "recognized"),
        (2, 0.6, "partly"),
        (2, 0.49, "not_recognized"),
    ],
)
def test_it_goes_by_identification_and_ssim(place: int, ssim: float | None, outcome: str) -> None:
    assert judge([judged(place, ssim)], 1, owned(), check(None)).outcome == outcome


def test_the_best_attack_by_score_counts_and_the_attackers_choice_is_told() -> None:
    blind, seeing = judged(40, 0.1, "gi"), judged(1, 0.9, "gifd", distance=0.3)
    verdict = judge([blind, seeing], 1, owned(), check(None))
    assert verdict.outcome == "recognized"
    assert (verdict.best, verdict.chosen) == (seeing, blind)
    assert "gi instead" in " ".join(verdict.sentences)


def test_one_image_and_one_attack_are_singular() -> None:
    one, other = judged(1, 0.3), judged(9, 0.1)
    assert one.score is not None
    assert other.score is not None
    both = replace(one, score=replace(one.score, images=(*one.score.images, *other.score.images)))
    text = " ".join(judge([both], 2, owned(), check(None)).sentences)
    assert "1 of them is nearer to its reconstruction" in text
    assert "at most 1 time in" in text


def test_a_failed_attack_is_not_an_answer() -> None:
    failed = JudgedAnswer(found("dlg", failure="it broke"), None)
    assert judge([judged(1, 0.9), failed], 1, owned(), check(None)).outcome == "recognized"
    assert judge([failed], 1, owned(), check(None)).outcome == "unexplained"


@pytest.mark.parametrize("cause", ["opposite sign", "train mode", "unknown"])
def test_a_wrong_description_is_never_safety(cause: str) -> None:
    verdict = judge([judged(300, 0.1)], 1, owned(), check(cause))  # type: ignore[arg-type]
    assert verdict.outcome == "unexplained"
    assert "because" in " ".join(verdict.sentences)


def test_a_leak_is_one_however_it_is_described() -> None:
    assert judge([judged(1, 0.9)], 1, owned(), check("train mode")).outcome == "recognized"


def test_an_undeclared_defense_is_told() -> None:
    verdict = judge([judged(300, 0.1)], 1, owned(), check("undeclared defense"))
    assert verdict.outcome == "not_recognized"
    assert "not told everything" in " ".join(verdict.sentences)


def test_noise_in_place_of_a_photograph_is_not_judged() -> None:
    noise = torch.rand(SHAPE, generator=torch.Generator().manual_seed(1))
    assert judge([judged(300, 0.1)], 1, owned(noise), check(None)).outcome == "unjudged"
    assert judge([judged(1, 0.9)], 1, owned(noise), check(None)).outcome == "recognized"


def test_too_few_gradient_evaluations_are_no_sign_of_safety() -> None:
    short, long = (judged(300, 0.1, gradient_evaluations=count) for count in (71, 300))
    verdict = judge([short], 1, owned(), check(None))
    assert verdict.outcome == "unjudged"
    assert verdict.fails("identified")
    assert "71 gradient evaluations" in " ".join(verdict.sentences)
    assert judge([short, long], 1, owned(), check(None)).outcome == "not_recognized"


def test_without_the_truth_nothing_is_said_of_recognition() -> None:
    verdict = judge([JudgedAnswer(found(), None)], 1, None, None)
    assert verdict.outcome == "unjudged"
    assert verdict.recognized is None


def test_what_no_attack_explains_is_wrongly_described_or_not_attackable() -> None:
    doubted = JudgedAnswer(found(doubt=DOUBT), None)
    verdict = judge([doubted], 1, None, None)
    assert verdict.outcome == "unexplained"
    assert "never a sign of safety" in " ".join(verdict.sentences)
    assert judge([JudgedAnswer(found(), None), doubted], 1, None, None).outcome == "unjudged"
    assert judge([judged(300, 0.1, doubt=DOUBT)], 1, owned(), None).outcome == "unexplained"
    assert judge([judged(300, 0.1, doubt=DOUBT)], 1, owned(), check(None)).outcome == "not_recognized"


@pytest.mark.parametrize(
    ("place", "ssim", "cause", "identified", "partly"),
    [
        (1, 0.9, None, True, True),
        (1, 0.1, None, False, True),
        (9, 0.1, None, False, False),
        (9, 0.1, "unknown", True, True),
    ],
)
def test_a_check_fails_also_where_nothing_can_be_said(
    place: int, ssim: float, cause: str | None, identified: bool, partly: bool
) -> None:
    verdict = judge([judged(place, ssim)], 1, owned(), check(cause))  # type: ignore[arg-type]
    assert verdict.fails("identified") is identified
    assert verdict.fails("partly") is partly
    assert not verdict.fails(None)
