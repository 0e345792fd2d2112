"""Identification among distractors."""

from __future__ import annotations

import torch

from gifd_bench.benchmark.results.record import DistractorRecord
from gifd_bench.benchmark.scoring.identification import (
    Lineup,
    bundled_others,
    own_ranks,
    reduced,
)
from gifd_bench.tasks.datasets.photos import Photos


def test_a_reconstruction_finds_its_own_image_and_noise_finds_it_no_more_often_than_chance() -> None:
    photos = torch.stack([Photos(size=16).image(k) for k in range(10)])
    others = bundled_others(200, (3, 16, 16))
    assert others.shape == (200, 3, 16, 16)
    assert float(others.min()) >= 0
    assert float(others.max()) <= 1
    generator = torch.Generator().manual_seed(0)
    noisy = photos + 0.1 * torch.randn(photos.shape, generator=generator)
    assert own_ranks(noisy, photos, others).tolist() == [1] * 10
    # Brightness and contrast do not matter, and the order is the private images'.
    assert own_ranks(0.3 * photos + 0.5, photos, others).tolist() == [1] * 10
    blind = torch.rand(photos.shape, generator=generator)
    ranks = own_ranks(blind, photos, others)
    assert float(ranks.double().median()) > 20
    # Without contrast nothing is found.
    assert own_ranks(torch.full_like(photos, 0.5), photos, others).tolist() == [201] * 10


def test_ranks_agree_with_a_loop_over_correlations() -> None:
    generator = torch.Generator().manual_seed(1)
    images, truths, others = (torch.rand(n, 3, 4, 4, generator=generator) for n in (3, 3, 20))
    for image, truth, rank in zip(images, truths, own_ranks(images, truths, others), strict=True):
        pairs = [torch.stack([image.flatten(), other.flatten()]) for other in (truth, *others)]
        own, *rest = [float(torch.corrcoef(pair)[0, 1]) for pair in pairs]
        assert int(rank) == 1 + sum(r >= own for r in rest)


def test_private_images_are_not_among_the_others_and_crops_fill_up_a_small_dataset() -> None:
    photos = Photos(size=8)
    truths = torch.stack([photos.image(k) for k in (3, 5)])
    for count, of_dataset in ((8, 8), (100, 8)):
        ranks, others = Lineup(photos, count).ranks(truths, truths)
        assert ranks.tolist() == [1, 1]
        assert others == DistractorRecord(count, of_dataset)
    # The other one of the batch is no distractor either.
    swapped, _ = Lineup(photos, 8).ranks(truths.flip(0), truths)
    assert int(swapped.min()) > 1


def test_large_images_are_compared_at_a_smaller_size() -> None:
    assert reduced(torch.rand(2, 3, 96, 128)).shape == (2, 3, 48, 64)
    photos = Photos(size=96)
    truth = photos.image(0)[None]
    ranks, others = Lineup(photos, 20).ranks(truth, truth)
    assert (ranks.tolist(), others.of_dataset) == ([1], 9)
