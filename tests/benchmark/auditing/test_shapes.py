"""Audits of images that are neither square nor of three channels."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import Tensor, nn

import gifd_bench as gb
from gifd_bench.benchmark.auditing.audit import audit


class Net(nn.Module):
    """Takes images of any shape."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Conv2d(channels, 6, 3, 2, 1)
        self.head = nn.Linear(6, 4)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.head(self.body(x).relu().mean(dim=(2, 3)))
        return logits


@pytest.mark.parametrize(("channels", "size"), [(1, (16, 16)), (3, (16, 24)), (1, (24, 16))])
def test_an_update_of_images_of_any_shape_is_audited(
    channels: int, size: tuple[int, int], tmp_path: Path
) -> None:
    torch.manual_seed(0)
    model, images, labels = Net(channels), torch.rand(2, channels, *size), torch.tensor([1, 3])
    loss = nn.functional.cross_entropy(model(images), labels)
    observation = gb.Observation.from_gradients(
        model, torch.autograd.grad(loss, list(model.parameters())), batch_size=2, image_size=size
    )
    report = audit(
        observation,
        tmp_path / "out",
        images=images,
        labels=labels,
        seconds=1,
        attacks=["ig", "gifd"],
        progress=False,
    )
    assert report.verdict.images == 2
    assert report.verdict.best is not None
    page = (tmp_path / "out" / "audit.html").read_text(encoding="utf-8")
    assert "2 of 2 labels leaked" in page
    assert "a prior makes square images of three channels" in page
    with Image.open(tmp_path / "out" / "attacks" / "ig" / "reconstruction.png") as picture:
        assert picture.height == size[0]
