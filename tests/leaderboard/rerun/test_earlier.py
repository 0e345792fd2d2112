"""Earlier answers: read as a stranger's, kept, and scored."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from gifd_bench.benchmark.scoring.metrics import psnr
from gifd_bench.leaderboard.reference import Reference
from gifd_bench.leaderboard.rerun.answer import RerunAnswer
from gifd_bench.leaderboard.rerun.child import MOST_EARLIER
from gifd_bench.leaderboard.rerun.earlier import Earlier, as_tensors, taken_from, within
from gifd_bench.leaderboard.rerun.errors import RerunFailed
from gifd_bench.leaderboard.submission import reconstruction
from gifd_bench.leaderboard.verification.checks import judge
from gifd_bench.leaderboard.verification.rerun_folder import RerunFolder

SHAPE = (2, 3, 4, 4)


def two() -> tuple[Earlier, ...]:
    return Earlier(1, torch.zeros(SHAPE)), Earlier(20, torch.full(SHAPE, 0.5))


def assert_two(found: tuple[Earlier, ...]) -> None:
    assert [one.gradient_evaluations for one in found] == [1, 20]
    assert [float(one.images.mean()) for one in found] == [0.0, 0.5]


def test_earlier_answers_are_taken_out_of_what_was_written() -> None:
    tensors = {"images": torch.zeros(1), **as_tensors(two())}
    assert_two(taken_from(tensors, SHAPE))
    assert tensors.keys() == {"images"}
    assert taken_from(tensors, SHAPE) == ()


def test_what_claims_as_much_as_was_spent_in_all_is_left_out() -> None:
    assert len(within(two(), 21)) == 2
    assert [one.gradient_evaluations for one in within(two(), 20)] == [1]


WRONG: dict[str, Callable[[Tensor, Tensor], dict[str, Tensor]]] = {
    "no evaluations": lambda images, marks: {"earlier_images": images},
    "no images": lambda images, marks: {"earlier_evaluations": marks},
    "real evaluations": lambda images, marks: {
        "earlier_images": images,
        "earlier_evaluations": marks.float(),
    },
    "falling": lambda images, marks: {"earlier_images": images, "earlier_evaluations": marks.flip(0)},
    "none spent": lambda images, marks: {"earlier_images": images, "earlier_evaluations": marks - 1},
    "too few images": lambda images, marks: {"earlier_images": images[:1], "earlier_evaluations": marks},
    "other pixels": lambda images, marks: {
        "earlier_images": images[..., :2],
        "earlier_evaluations": marks,
    },
    "double": lambda images, marks: {"earlier_images": images.double(), "earlier_evaluations": marks},
    "not a number": lambda images, marks: {
        "earlier_images": images * torch.nan,
        "earlier_evaluations": marks,
    },
    "too many": lambda images, marks: {
        "earlier_images": torch.zeros(MOST_EARLIER + 1, *SHAPE),
        "earlier_evaluations": torch.arange(1, MOST_EARLIER + 2),
    },
}


@pytest.mark.parametrize("what", WRONG)
def test_earlier_answers_that_are_anything_else_fail_the_rerun(what: str) -> None:
    tensors = as_tensors(two())
    wrong = WRONG[what](tensors["earlier_images"], tensors["earlier_evaluations"])
    with pytest.raises(RerunFailed, match="wrote no valid answer: "):
        taken_from(wrong, SHAPE)


def test_a_rerun_that_goes_on_still_has_the_earlier_answers(tmp_path: Path) -> None:
    folder = RerunFolder(tmp_path / "kept")
    labels = torch.zeros(2, dtype=torch.int64)
    folder.put("000", RerunAnswer(torch.ones(SHAPE), labels, 30, 1.0, earlier=two()))
    folder.put("001", RerunAnswer(torch.ones(SHAPE), labels, 30, 1.0))
    found, without = folder.get("000"), folder.get("001")
    assert found is not None
    assert_two(found.earlier)
    assert without is not None
    assert without.earlier == ()


@pytest.mark.slow
def test_what_an_earlier_answer_was_worth_is_scored_here(reference: Reference) -> None:
    truth = reference.truths["000"]
    close = (truth.images + 0.1).clamp(0, 1)
    answer = RerunAnswer(
        truth.images, truth.labels, 9, 1.0, earlier=(Earlier(2, close), Earlier(5, truth.images))
    )
    images = reconstruction.SubmittedAnswer(answer.images, answer.labels)
    first, second = judge(images, "000", answer, reference, answer.earlier).score.moments
    assert (first.gradient_evaluations, second.gradient_evaluations) == (2, 5)
    assert first.metrics == {"psnr": pytest.approx(float(psnr(close, truth.images).mean()))}
    assert second.metrics["psnr"] > first.metrics["psnr"]
    assert judge(images, "000", answer, reference).score.moments == []
