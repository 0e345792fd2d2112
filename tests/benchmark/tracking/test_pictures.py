"""Pictures for trackers."""

from __future__ import annotations

import numpy as np
import torch

from gifd_bench.benchmark.inversion.reconstruction import Reconstruction, StageResult
from gifd_bench.benchmark.scoring.scorer import Scores
from gifd_bench.benchmark.tracking.pictures import pairs, side_by_side, strips
from gifd_bench.tasks.truth import Truth

BLACK, GRAY, WHITE = (torch.full((3, 32, 32), value) for value in (0.0, 0.5, 1.0))


def result(stages: int) -> tuple[Reconstruction, Scores, Truth]:
    """The truth is gray and white, answered in the other order by white and gray; every stage had black."""
    labels = torch.tensor([0, 1])
    black = torch.stack([BLACK, BLACK])
    found = tuple(StageResult(f"stage{k}", black, labels, 1.0, k) for k in range(stages))
    answer = Reconstruction(torch.stack([WHITE, GRAY]), labels, 0.5, stages, found, torch.zeros(3))
    scores = Scores({"psnr": [30.0, 40.0]}, [1, 0], [], [10.0 + k for k in range(stages)])
    return answer, scores, Truth(torch.stack([GRAY, WHITE]), labels)


def test_small_images_are_enlarged_pixel_by_pixel() -> None:
    image = torch.rand(3, 32, 20)
    picture = side_by_side([image, image])
    assert picture.shape == (128, 160, 3)
    assert picture.dtype == np.uint8
    expected = (image * 255).round().to(torch.uint8).permute(1, 2, 0).numpy()
    assert (picture[::4, :80:4] == expected).all()
    assert (picture[3::4, 83::4] == expected).all()
    assert side_by_side([torch.rand(3, 224, 224)]).shape == (224, 224, 3)


def test_a_private_image_is_beside_the_one_that_answers_it() -> None:
    first, second = pairs(*result(stages=1))
    assert set(first.image.ravel()) == {128}
    assert set(second.image.ravel()) == {255}
    assert [first.caption, second.caption] == ["truth, 30.00 dB", "truth, 40.00 dB"]


def test_a_strip_has_every_stage_and_then_the_truth() -> None:
    first, second = strips(*result(stages=3))
    assert first.image.shape == (128, 4 * 128, 3)
    assert set(first.image[:, : 3 * 128].ravel()) == {0}
    assert set(second.image[:, 3 * 128 :].ravel()) == {255}
    assert first.caption.startswith("stage0 10.00 dB, stage1 11.00 dB, stage2 12.00 dB, truth")


def test_there_is_no_strip_of_one_stage() -> None:
    assert strips(*result(stages=1)) == []
