"""Metrics against slow references, behind one assignment."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.lib.stride_tricks import sliding_window_view
from skimage.metrics import structural_similarity
from torch import Tensor

from gifd_bench.benchmark.cli import run as cli
from gifd_bench.benchmark.inversion.assignment import assign
from gifd_bench.benchmark.inversion.reconstruction import Reconstruction
from gifd_bench.benchmark.results.record import DistractorRecord
from gifd_bench.benchmark.scoring import lpips as lpips_module
from gifd_bench.benchmark.scoring.base import MetricMissing
from gifd_bench.benchmark.scoring.identification import Lineup
from gifd_bench.benchmark.scoring.metrics import MAX_PSNR, MSE, SSIM, FeatureMSE, psnr
from gifd_bench.benchmark.scoring.registry import COLUMNS, IDENTIFICATION
from gifd_bench.benchmark.scoring.scorer import score
from gifd_bench.tasks.datasets.photos import Photos
from gifd_bench.tasks.observation import Observation
from gifd_bench.tasks.truth import Truth
from tests.rounds import make_round


def answer(images: Tensor, labels: Tensor) -> Reconstruction:
    return Reconstruction(images, labels, 0.0, 1, (), torch.zeros(1))


def noisy(images: Tensor, std: float = 0.1) -> Tensor:
    noise = torch.randn(images.shape, generator=torch.Generator().manual_seed(0))
    return (images + std * noise).clamp(0, 1)


def slow_ssim(mine: np.ndarray, theirs: np.ndarray) -> float:
    """Wang et al. (2004), equation 13, window by window within one image."""
    offsets = np.arange(-5, 6)
    line = np.exp(-(offsets**2) / (2 * 1.5**2))
    window = np.outer(line, line) / line.sum() ** 2
    c1, c2 = 0.01**2, 0.03**2
    values = []
    for a, b in zip(mine.astype(float), theirs.astype(float), strict=True):
        views = [sliding_window_view(image, (11, 11)).reshape(-1, 11, 11) for image in (a, b)]
        for x, y in zip(*views, strict=True):
            mx, my = (window * x).sum(), (window * y).sum()
            vx, vy = (window * x * x).sum() - mx**2, (window * y * y).sum() - my**2
            cov = (window * x * y).sum() - mx * my
            values.append((2 * mx * my + c1) * (2 * cov + c2) / ((mx**2 + my**2 + c1) * (vx + vy + c2)))
    return float(np.mean(values))


def test_psnr_ssim_and_mse_equal_slow_references() -> None:
    truth = make_round(3)[1].images
    images = noisy(truth)
    for k, (mine, theirs) in enumerate(zip(images.numpy(), truth.numpy(), strict=True)):
        error = np.mean((mine.astype(float) - theirs) ** 2)
        assert float(MSE()(images, truth, None)[k]) == pytest.approx(error, rel=1e-5)
        assert float(psnr(images, truth)[k]) == pytest.approx(-10 * math.log10(error), rel=1e-5)
        assert float(SSIM()(images, truth, None)[k]) == pytest.approx(slow_ssim(mine, theirs), abs=1e-6)


@pytest.mark.parametrize("size", [11, 32, 64])
@pytest.mark.parametrize("std", [0.0, 0.02, 0.5])
def test_ssim_is_that_of_scikit_image(size: int, std: float) -> None:
    truth = torch.stack([Photos(size).image(k) for k in range(10)])
    images = noisy(truth, std)
    found = SSIM()(images, truth, None).tolist()
    expected = [
        structural_similarity(
            mine.astype(float),
            theirs.astype(float),
            data_range=1.0,
            channel_axis=0,
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
        )
        for mine, theirs in zip(images.numpy(), truth.numpy(), strict=True)
    ]
    assert found == pytest.approx(expected, abs=1e-6)


def test_ssim_of_an_image_smaller_than_its_window_is_missing() -> None:
    with pytest.raises(MetricMissing, match="at least 11 pixels"):
        SSIM()(torch.rand(1, 3, 10, 32), torch.rand(1, 3, 10, 32), None)


def test_equal_images_have_the_highest_psnr_and_not_infinity() -> None:
    truth = make_round(2)[1].images
    assert psnr(truth, truth).tolist() == [MAX_PSNR] * 2
    assert SSIM()(truth, truth, None).tolist() == pytest.approx([1.0] * 2)


def test_a_shuffled_batch_scores_as_one_in_order() -> None:
    observation, truth = make_round(3)
    images = noisy(truth.images)
    shuffle = torch.tensor([2, 0, 1])
    straight = score(answer(images, truth.labels), truth, observation)
    shuffled = score(answer(images[shuffle], truth.labels[shuffle]), truth, observation)
    assert straight.assignment == [0, 1, 2]
    assert shuffled.assignment == [1, 2, 0]
    assert straight.per_image == shuffled.per_image
    assert straight.per_image["label_accuracy"] == [1.0] * 3


def test_labels_follow_the_images_and_not_the_other_way_round() -> None:
    observation, truth = make_round(3)
    swapped = truth.labels[torch.tensor([1, 0, 2])]
    found = score(answer(truth.images, swapped), truth, observation)
    assert found.per_image["label_accuracy"] == [0.0, 0.0, 1.0]


def test_a_batch_may_hold_a_label_twice() -> None:
    observation, truth = make_round(3)
    twice = Truth(truth.images, torch.tensor([1, 1, 2]))
    found = score(answer(truth.images, torch.tensor([1, 2, 1])), twice, observation)
    assert found.mean("label_accuracy") == pytest.approx(1 / 3)


@settings(max_examples=50)
@given(st.integers(1, 5), st.integers(0, 1000))
def test_the_assignment_has_the_least_total_error(count: int, seed: int) -> None:
    from itertools import permutations

    generator = torch.Generator().manual_seed(seed)
    truths, images = torch.rand(2, count, 3, 2, 2, generator=generator)
    found = assign(images, truths)
    costs = {
        order: sum(float((truths[k] - images[i]).square().sum()) for k, i in enumerate(order))
        for order in permutations(range(count))
    }
    assert sorted(found.tolist()) == list(range(count))
    assert costs[tuple(found.tolist())] == pytest.approx(min(costs.values()))


def test_feature_mse_is_of_what_enters_the_last_layer() -> None:
    observation, truth = make_round(2)
    images = noisy(truth.images)
    features = [observation.victim().features((x - 0.5) / 0.25) for x in (images, truth.images)]  # type: ignore[operator]
    expected = (features[0] - features[1]).square().mean(dim=1)
    torch.testing.assert_close(FeatureMSE()(images, truth.images, observation), expected.detach())


def test_a_run_scores_identification_and_a_single_score_does_not() -> None:
    observation, truth = make_round(2)
    blind = torch.rand(truth.images.shape, generator=torch.Generator().manual_seed(0))
    images = torch.stack([truth.images[0], blind[1]])
    found = score(answer(images, truth.labels), truth, observation, lineup=Lineup(Photos(32), 50))
    assert found.per_image["identified"] == [1.0, 0.0]
    assert found.distractors == DistractorRecord(50, 8)
    assert not set(score(answer(images, truth.labels), truth).per_image) & set(IDENTIFICATION)


@pytest.mark.parametrize("value", [1.1, -0.1, math.nan])
def test_images_out_of_range_are_refused(value: float, observation: Observation, truth: Truth) -> None:
    images = truth.images.clone()
    images[0, 0, 0, 0] = value
    with pytest.raises(ValueError, match=r"not in \[0, 1\]"):
        score(answer(images, truth.labels), truth, observation)


def test_images_of_another_shape_are_refused() -> None:
    observation, truth = make_round(2)
    with pytest.raises(ValueError, match="shape"):
        score(answer(truth.images[:1], truth.labels[:1]), truth, observation)


def test_without_a_backbone_lpips_is_null_with_its_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    lpips_module._network.cache_clear()
    observation, truth = make_round(2)
    found = score(answer(truth.images, truth.labels), truth, observation)
    assert set(found.per_image) == set(COLUMNS)
    assert found.per_image["lpips_alex"] is None
    assert found.mean("lpips_vgg") is None
    assert [reason.split(":")[0] for reason in found.reasons] == ["lpips_alex", "lpips_vgg"]
    assert "gifd-bench fetch lpips" in found.reasons[0]
    assert str(tmp_path) not in "".join(found.reasons)
    assert found.mean("psnr") == MAX_PSNR


def test_backbones_are_fetched_by_one_command_and_only_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[tuple[str, str]] = []

    def download(url: str, path: str, hash_prefix: str, progress: bool) -> None:
        asked.append((url, hash_prefix))
        Path(path).touch()

    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr(torch.hub, "download_url_to_file", download)
    for _ in range(2):
        assert cli(["fetch", "lpips"]) == 0
    assert [url.rsplit("/", 1)[-1] for url, _ in asked] == [
        "alexnet-owt-7be5be79.pth",
        "vgg16-397923af.pth",
    ]
    assert [digest for _, digest in asked] == ["7be5be79", "397923af"]
    files = set(capsys.readouterr().out.split())
    assert files == {str(path) for path in (tmp_path / "checkpoints").iterdir()}


def test_without_a_network_fetching_is_one_line_that_says_which_file_goes_where(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def download(*args: object, **options: object) -> None:
        raise OSError("no route to host")

    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    monkeypatch.setattr(torch.hub, "download_url_to_file", download)
    assert cli(["fetch", "lpips"]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "no route to host" in error
    assert str(tmp_path / "checkpoints" / "alexnet-owt-7be5be79.pth") in error


@pytest.mark.slow
def test_with_a_backbone_lpips_equals_the_lpips_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A backbone with random weights: parity of the code, not a number to report."""
    import lpips as reference
    from torchvision.models import alexnet

    torch.manual_seed(0)
    weights = alexnet(weights=None).state_dict()
    (tmp_path / "checkpoints").mkdir()
    file = lpips_module._WEIGHTS["alex"].url.rsplit("/", 1)[-1]
    torch.save(weights, tmp_path / "checkpoints" / file)
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    lpips_module._network.cache_clear()
    truth = make_round(2)[1].images
    images = noisy(truth)
    try:
        found = lpips_module.lpips(images, truth, "alex")
    finally:
        lpips_module._network.cache_clear()
    network = reference.LPIPS(net="alex", pnet_rand=True, verbose=False)
    own = alexnet(weights=None)
    own.load_state_dict(weights)
    for mine, theirs in zip(
        [p for s in range(1, 6) for p in getattr(network.net, f"slice{s}").parameters()],
        own.features.parameters(),
        strict=True,
    ):
        mine.data = theirs.data
    with torch.no_grad():
        expected = network(images, truth, normalize=True).flatten().tolist()
    assert found == pytest.approx(expected, rel=1e-4)
