"""What the owner of the private images adds: the truth, and how near the attacks came to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from gifd_bench.benchmark.auditing.trials import Found
from gifd_bench.benchmark.errors import BenchmarkError
from gifd_bench.benchmark.inversion.assignment import assign
from gifd_bench.benchmark.scoring.base import MetricMissing
from gifd_bench.benchmark.scoring.identification import own_ranks
from gifd_bench.benchmark.scoring.metrics import SSIM, psnr
from gifd_bench.benchmark.scoring.scorer import values_of
from gifd_bench.benchmark.self_check import ObservationCheck, check_observation
from gifd_bench.tasks.observation import Observation

# From here on the reconstruction of an image that is also identified counts as recognized. This is a
# convention of ours: SSIM is 0 of unrelated images and 1 of equal ones.
RECOGNIZED_SSIM = 0.5
# Below this correlation of neighboring pixels an image is nothing but noise; photographs are above 0.8.
NOISE_LIKE = 0.2
# This many images are compared with the distractors at a time.
CHUNK = 100


@dataclass(frozen=True)
class Distractors:
    """Other images, among which a private one is to be found.

    Attributes:
        images: (N, C, H, W) in [0, 1]; none of them is private.
        source: what they are, as a phrase.
    """

    images: Tensor
    source: str

    def without(self, private: Tensor) -> Distractors:
        """The distractors without images of the private batch (B, C, H, W)."""
        same = [any(torch.equal(other, image) for image in private) for other in self.images]
        return Distractors(self.images[~torch.tensor(same, dtype=torch.bool)], self.source)


@dataclass(frozen=True)
class Owned:
    """The private batch, which only its owner has.

    Attributes:
        images: (B, C, H, W) in [0, 1].
        labels: (B,) int64, or (B, classes) if images have several labels; `None` if the owner does not give
            them.
        distractors: other images, from which the private ones are to be told apart.
    """

    images: Tensor
    labels: Tensor | None
    distractors: Distractors

    @classmethod
    def of(
        cls, observation: Observation, images: Tensor, labels: Tensor | None, distractors: Distractors
    ) -> Owned:
        """The private batch of an observation.

        Raises:
            BenchmarkError: number or shape of images or labels are not those of the observation.
        """
        expected = (observation.batch_size, *observation.model.image_shape)
        if tuple(images.shape) != expected:
            raise BenchmarkError(
                f"images of shape {tuple(images.shape)} given, and this update was computed on {expected}"
            )
        low, high = float(images.min()), float(images.max())
        if not (low >= 0 and high <= 1):
            raise BenchmarkError(
                f"images are in [{low:.3g}, {high:.3g}], and in [0, 1] expected, before any normalization"
            )
        classes = observation.model.num_classes
        if (
            labels is not None
            and labels.ndim == 1
            and (labels.shape != expected[:1] or not bool(((labels >= 0) & (labels < classes)).all()))
        ):
            raise BenchmarkError(f"{expected[0]} labels from 0 to {classes - 1} are expected")
        if labels is not None and labels.ndim == 2 and labels.shape != (expected[0], classes):
            raise BenchmarkError(f"labels of shape {tuple(labels.shape)} for {expected[0]} images")
        if len(distractors.images) == 0:
            raise BenchmarkError("there is no other image to tell a private one from")
        return cls(images, labels, distractors.without(images))

    @property
    def noise_like(self) -> bool:
        """Whether the images are only noise, which no attack with knowledge about images looks for."""
        return all(_neighbors(image) < NOISE_LIKE for image in self.images)

    def check(self, observation: Observation) -> ObservationCheck | None:
        """Whether the described client would have sent this update; `None` if labels are not given."""
        return None if self.labels is None else check_observation(observation, self.images, self.labels)


@dataclass(frozen=True)
class ImageScore:
    """How near a reconstruction came to its private image.

    Attributes:
        place: the place of the private image among the others, by their distance from the reconstruction; 1
            is the nearest.
        psnr: in dB.
        ssim: at most 1; `None` if the images are too small for it.
    """

    place: int
    psnr: float
    ssim: float | None

    @property
    def identified(self) -> bool:
        """Whether the reconstruction is nearer to its own image than to every other one."""
        return self.place == 1

    @property
    def similar(self) -> bool:
        """Whether it looks like its image, by SSIM."""
        return self.ssim is not None and self.ssim >= RECOGNIZED_SSIM

    @property
    def recognized(self) -> bool:
        """Whether it is identified and similar; without SSIM, whether it is identified."""
        return self.identified and (self.similar or self.ssim is None)


@dataclass(frozen=True)
class AttackScore:
    """How near one attack came.

    Attributes:
        order: index of the reconstruction that belongs to each private image.
        images: the scores in the order of the private images.
    """

    order: tuple[int, ...]
    images: tuple[ImageScore, ...]

    @property
    def rank(self) -> tuple[int, int, float]:
        """The key by which attacks are compared; more is better.

        It is the number of recognized images, the number of identified images, and the mean SSIM or,
        without SSIM, PSNR.
        """
        likeness = sum(one.psnr if one.ssim is None else one.ssim for one in self.images)
        return (
            sum(one.recognized for one in self.images),
            sum(one.identified for one in self.images),
            likeness / len(self.images),
        )


def score(found: Found, owned: Owned) -> AttackScore | None:
    """Compare what an attack found with the truth; `None` if it failed."""
    if found.failure is not None:
        return None
    truth = owned.images
    order = assign(found.images, truth)
    images = found.images[order]
    places = torch.ones(len(truth), dtype=torch.int64)
    for chunk in torch.split(owned.distractors.images, CHUNK):
        places += own_ranks(images, truth, chunk) - 1
    try:
        ssim: Sequence[float | None] = values_of(SSIM(), images, truth, None)
    except (MetricMissing, RuntimeError, ValueError):  # Its window does not fit into small images.
        ssim = [None] * len(truth)
    return AttackScore(
        tuple(order.tolist()),
        tuple(map(ImageScore, places.tolist(), psnr(images, truth).tolist(), ssim)),
    )


def _neighbors(image: Tensor) -> float:
    """The correlation of pixels with those beside and below them, as a mean over the channels."""
    pairs = ((image[:, :, 1:], image[:, :, :-1]), (image[:, 1:], image[:, :-1]))
    found = [
        torch.corrcoef(torch.stack([one.flatten(), other.flatten()]))[0, 1]
        for channel in range(len(image))
        for one, other in ((a[channel], b[channel]) for a, b in pairs)
    ]
    # An image of one color has no correlation, and is no noise.
    return float(torch.stack(found).nan_to_num(1.0).mean())
