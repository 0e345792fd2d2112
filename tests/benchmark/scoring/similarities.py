"""Which similarity ranks reconstructions best? Run: `python -m tests.benchmark.scoring.similarities`.

A similarity is good if reconstructions from which people know the private image again are nearest to it by
this similarity. So each of torchmetrics' is asked what our identification asks: is the private image the
nearest of 1,001, by it? The reconstructions are those of the bundled board, each as it is, with noise, and
blurred. A second question is one pair: a cat that nobody recognizes, at 21.1 dB, and one that anybody does,
at 18.6 dB; PSNR has them the wrong way around.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F
from torchmetrics.functional.image import (
    multiscale_structural_similarity_index_measure,
    spatial_correlation_coefficient,
    universal_image_quality_index,
    visual_information_fidelity,
)
from torchvision.transforms.functional import gaussian_blur
from torchvision.utils import save_image

from gifd_bench.benchmark.scoring.identification import SPARE, drawn_of, own_ranks
from gifd_bench.benchmark.scoring.metrics import BORDER, SSIM, psnr
from gifd_bench.leaderboard.entries import Entries, bundled_entries
from gifd_bench.leaderboard.export import published_index
from gifd_bench.leaderboard.protocol import find_protocol
from gifd_bench.leaderboard.reference import truths_of
from gifd_bench.tasks.datasets.cifar import Cifar10
from gifd_bench.tasks.datasets.photos import Photos

TRACK = "cifar10-v1"
OTHERS = 1000
# Of each entry's images, so that it takes minutes; each entry's are others.
IMAGES = 2
CAT = 1
NOISY_CAT, VISIBLE_CAT = 21.1, 18.6

# (B, 3, H, W) twice to (B,).
Similarity = Callable[[Tensor, Tensor], Tensor]


def correlation(images: Tensor, truths: Tensor) -> Tensor:
    """What identification is by."""
    rows = [batch.flatten(1) - batch.flatten(1).mean(dim=1, keepdim=True) for batch in (images, truths)]
    return F.cosine_similarity(rows[0], rows[1])


def our_ssim(images: Tensor, truths: Tensor) -> Tensor:
    """As the metric, but with one pass along each side, which is fifty times as fast."""
    places = torch.arange(2 * BORDER + 1.0) - BORDER
    kernel = torch.exp(-places.square() / (2 * 1.5**2))
    kernel = (kernel / kernel.sum()).expand(3, 1, 1, -1).double()

    def mean(batch: Tensor) -> Tensor:
        return F.conv2d(F.conv2d(batch, kernel, groups=3), kernel.transpose(2, 3), groups=3)

    x, y = images.double(), truths.double()
    of_x, of_y = mean(x), mean(y)
    spread_x, spread_y = mean(x * x) - of_x**2, mean(y * y) - of_y**2
    both = mean(x * y) - of_x * of_y
    found = (2 * of_x * of_y + 0.01**2) * (2 * both + 0.03**2)
    found /= (of_x**2 + of_y**2 + 0.01**2) * (spread_x + spread_y + 0.03**2)
    return found.flatten(1).mean(dim=1)


def ms_ssim(images: Tensor, truths: Tensor) -> Tensor:
    """At three scales, with the largest window that fits into the smallest of 32 pixels."""
    return multiscale_structural_similarity_index_measure(
        images, truths, kernel_size=5, sigma=0.8, betas=(0.2, 0.3, 0.5), data_range=1.0, reduction="none"
    )


def uqi(images: Tensor, truths: Tensor) -> Tensor:
    """SSIM without the constants that keep it steady where there is no contrast."""
    values: Tensor = universal_image_quality_index(images, truths, reduction="none")
    return values.mean(dim=(1, 2, 3))


def vif(images: Tensor, truths: Tensor) -> Tensor:
    """Of images enlarged to 64 pixels: it takes none below 41."""
    large = [F.interpolate(batch, scale_factor=2, mode="bilinear") for batch in (images, truths)]
    return visual_information_fidelity(large[0], large[1], reduction="none")


def scc(images: Tensor, truths: Tensor) -> Tensor:
    """Correlation of the edges."""
    return spatial_correlation_coefficient(images, truths, reduction="none")


SIMILARITIES: dict[str, Similarity] = {
    "PSNR": psnr,
    "correlation": correlation,
    "SSIM": our_ssim,
    "MS-SSIM": ms_ssim,
    "UQI": uqi,
    "VIF": vif,
    "SCC": scc,
}


def noisy(images: Tensor, generator: torch.Generator, strength: float = 0.2) -> Tensor:
    return (images + strength * torch.randn(images.shape, generator=generator)).clamp(0, 1)


def blurred(images: Tensor, sigma: float = 2.0) -> Tensor:
    return gaussian_blur(images, [9, 9], [sigma, sigma])


def reconstructions() -> Iterator[tuple[str, Tensor, Tensor]]:
    """Images of the board, degraded or not, each (1, 3, H, W), and their private ones."""
    protocol = find_protocol(TRACK)
    index, truths = published_index(protocol), truths_of(protocol)
    assert index is not None
    generator = torch.Generator().manual_seed(0)
    for number, entry in enumerate(Entries(bundled_entries()).of(TRACK)):
        names = entry.answered
        for name in (names[(number + k * len(names) // IMAGES) % len(names)] for k in range(IMAGES)):
            images = entry.answer(name, 1, index.observations[name].size).images
            truth = truths[name].images
            yield "as they are", images, truth
            yield "with noise (std 0.2)", noisy(images, generator), truth
            yield "blurred (2 pixels)", blurred(images), truth


def identifies(similarity: Similarity, image: Tensor, truth: Tensor, others: Tensor) -> bool:
    """Whether the private image is nearer than all others; of equals it is not."""
    with torch.no_grad():
        own = similarity(image, truth)
        return all(
            bool(own > similarity(image.expand_as(some).contiguous(), some).max())
            for some in others.split(100)
        )


def cats() -> tuple[Tensor, Tensor, Tensor]:
    """The cat, one that nobody recognizes at 21.1 dB, and a visible one at 18.6 dB."""
    cat = Photos(32).image(CAT)[None]
    noise = torch.randn(cat.shape, generator=torch.Generator().manual_seed(0))
    smear = gaussian_blur(cat, [31, 31], [3.2, 3.2])

    def at(start: Tensor, decibels: float) -> Tensor:
        low, high = 0.0, 1.0
        for _ in range(40):
            middle = (low + high) / 2
            better = float(psnr((start + middle * noise).clamp(0, 1), cat)) > decibels
            low, high = (middle, high) if better else (low, middle)
        return (start + low * noise).clamp(0, 1)

    return cat, at(smear, NOISY_CAT), at(cat, VISIBLE_CAT)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cats", type=Path, help="where a picture of the three cats goes")
    parser.add_argument("names", nargs="*", metavar="NAME", help="of a similarity (default: all)")
    options = parser.parse_args()
    chosen = {name: SIMILARITIES[name] for name in options.names or SIMILARITIES}
    cat, hidden, visible = cats()
    if options.cats:
        save_image(F.interpolate(torch.cat([cat, hidden, visible]), scale_factor=8), options.cats)
    data = Cifar10(split="train")
    others = torch.stack([data.image(k) for k in drawn_of(len(data), OTHERS + SPARE)[:OTHERS]])
    found: dict[str, dict[str, list[bool]]] = {name: {} for name in chosen}
    seconds = dict.fromkeys(chosen, 0.0)
    sample = others[:20], others[20:40]
    torch.testing.assert_close(our_ssim(*sample).float(), SSIM()(*sample, None))
    for kind, image, truth in reconstructions():
        assert int(own_ranks(truth, truth, others)) == 1
        for name, similarity in chosen.items():
            began = time.process_time()
            found[name].setdefault(kind, []).append(identifies(similarity, image, truth, others))
            seconds[name] += time.process_time() - began
    for name, similarity in chosen.items():
        rates = ", ".join(
            f"{kind}: {sum(hits)} of {len(hits)} ({sum(hits) / len(hits):.1%})"
            for kind, hits in found[name].items()
        )
        pair = float(similarity(hidden, cat)), float(similarity(visible, cat))
        order = "right" if pair[1] > pair[0] else "wrong"
        sys.stdout.write(
            f"{name}: {rates}; cats {pair[0]:.3f} and {pair[1]:.3f}, {order}; {seconds[name]:.0f} s\n"
        )


if __name__ == "__main__":
    main()
