"""Dropout before a linear layer, whose gradient for a single image shows what was left out."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from gifd_bench.benchmark.inversion.simulation import SimulatedClient
from gifd_bench.tasks.observation import Observation
from tests.tasks.test_capture import MEAN, STD, net


def observed(images: int) -> tuple[Observation, torch.Tensor, torch.Tensor]:
    model = net(dropout=0.5).train()
    pixels, labels = torch.rand(images, 3, 8, 8), torch.arange(images)
    loss = F.cross_entropy(model((pixels - 0.5) / 0.25), labels)
    gradients = torch.autograd.grad(loss, list(model.parameters()))
    with pytest.warns(UserWarning, match="draws at random in training mode"):
        made = Observation.from_gradients(
            model, gradients, batch_size=images, image_size=8, mean=MEAN, std=STD
        )
    return made, pixels, labels


def test_the_mask_of_a_single_image_is_read_and_used() -> None:
    torch.manual_seed(0)
    observation, pixels, labels = observed(1)
    client = SimulatedClient(observation, torch.device("cpu"))
    for mine, sent in zip(client.update(pixels, labels), client.observed, strict=True):
        torch.testing.assert_close(mine.detach(), sent, atol=1e-6, rtol=1e-4)
    # The observation's own victim has no mask.
    plain = observation.victim()((pixels - 0.5) / 0.25)
    torch.testing.assert_close(plain, net()((pixels - 0.5) / 0.25))


def test_of_several_images_no_mask_shows() -> None:
    torch.manual_seed(0)
    observation, pixels, labels = observed(2)
    client = SimulatedClient(observation, torch.device("cpu"))
    expected = net()
    loss = F.cross_entropy(expected((pixels - 0.5) / 0.25), labels)
    gradients = torch.autograd.grad(loss, list(expected.parameters()))
    for mine, plain in zip(client.update(pixels, labels), gradients, strict=True):
        torch.testing.assert_close(mine.detach(), plain, atol=1e-6, rtol=1e-4)
