"""A reconstruction as files."""

from __future__ import annotations

from pathlib import Path

from torchvision.utils import save_image

from gifd_bench.benchmark.inversion.reconstruction import Reconstruction
from gifd_bench.common.files import write_tensors, written_whole


def write_reconstruction(tensors: Path, picture: Path, reconstruction: Reconstruction) -> None:
    """Write images, labels, loss curve and the stages' images without loss, and the images to look at."""
    content = {
        "images": reconstruction.images,
        "labels": reconstruction.labels,
        "curve": reconstruction.curve,
    }
    content |= {f"stage/{k:02d}": stage.images for k, stage in enumerate(reconstruction.stages)}
    write_tensors(tensors, content)
    with written_whole(picture) as partial:
        save_image(reconstruction.images, partial, format="png", padding=0)
