"""The distance of samples from held-back images, in the features of a classifier."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torchmetrics.image.fid import FrechetInceptionDistance

from gifd_bench.priors.generators.resnet import ResNetGenerator
from gifd_bench.priors.training.classifier import BATCH, Classifier
from gifd_bench.priors.training.images import PriorImages

SAMPLES = 2000


class _Features(nn.Module):
    """The classifier's features in the form that torchmetrics needs: for images in bytes."""

    num_features = 128

    def __init__(self, classifier: Classifier) -> None:
        super().__init__()
        self.classifier = classifier

    def forward(self, images: Tensor) -> Tensor:
        return self.classifier.features(images.float() / 127.5 - 1)


class ClassifierFrechetDistance:
    """The Fréchet distance in the features of a classifier that was trained on the prior's training images.

    Heusel et al., NeurIPS 2017. It is not the FID, which uses the features of Inception; the numbers of the
    two cannot be compared.

    Args:
        classifier: the classifier, trained on the same images as the prior.
        held_back: images on which neither the prior nor the classifier was trained.
    """

    def __init__(self, classifier: Classifier, held_back: PriorImages) -> None:
        self._metric = FrechetInceptionDistance(
            feature=_Features(classifier).eval(), reset_real_features=False, normalize=False
        )
        for begin in range(0, len(held_back), BATCH):
            self._metric.update(held_back.pixels[begin : begin + BATCH], real=True)

    @torch.no_grad()
    def of_generator(self, generator: ResNetGenerator) -> float:
        """The distance of `SAMPLES` samples, as many of each class, with the same latents at every call."""
        random = torch.Generator().manual_seed(2)
        device = next(generator.parameters()).device
        for begin in range(0, SAMPLES, BATCH):
            count = min(BATCH, SAMPLES - begin)
            z = torch.randn(count, generator.config.latent_size, generator=random)
            classes = torch.arange(begin, begin + count) % len(generator.config.class_names)
            images = generator(z.to(device), classes.to(device)).float().cpu()
            self._metric.update(((images + 1) * 127.5).round().clamp(0, 255).byte(), real=False)
        return self._distance()

    def of_images(self, images: PriorImages) -> float:
        """The distance of `SAMPLES` images spread over a set: what a perfect generator would have."""
        positions = torch.linspace(0, len(images) - 1, min(SAMPLES, len(images))).long()
        for begin in range(0, len(positions), BATCH):
            self._metric.update(images.pixels[positions[begin : begin + BATCH]], real=False)
        return self._distance()

    def _distance(self) -> float:
        distance = float(self._metric.compute())
        self._metric.reset()  # the held-back images stay
        return distance
