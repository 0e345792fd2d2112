"""The files of an inversion, whatever it was for."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from gifd_bench.common.files import write_tensors, written_whole

# Commands that only read results start at once: torch is imported by what needs it.
if TYPE_CHECKING:
    from gifd_bench.benchmark.inversion.reconstruction import Reconstruction


@dataclass(frozen=True)
class AnswerFolder:
    """The answer of an inversion and, before there is one, the state from which it continues.

    Attributes:
        path: the path of the folder.
    """

    path: Path

    @property
    def result(self) -> Path:
        """The answer in numbers. It is written last, and marks the end of the inversion."""
        return self.path / "result.json"

    @property
    def reconstruction(self) -> Path:
        """The exact reconstruction, which is written before the result."""
        return self.path / "reconstruction.safetensors"

    @property
    def picture(self) -> Path:
        """The reconstruction as a picture."""
        return self.path / "reconstruction.png"

    @property
    def checkpoint(self) -> Path:
        """The state from which an interrupted inversion continues; it is removed at the end."""
        return self.path / "checkpoint.ckpt"

    def write_reconstruction(self, reconstruction: Reconstruction) -> None:
        """Write images, labels, loss curve and the stages' images exactly, and a picture of the images.

        Raises:
            StorageError: a file cannot be written.
        """
        from torchvision.utils import save_image

        content = {
            "images": reconstruction.images,
            "labels": reconstruction.labels,
            "curve": reconstruction.curve,
        }
        content |= {f"stage/{k:02d}": stage.images for k, stage in enumerate(reconstruction.stages)}
        write_tensors(self.reconstruction, content)
        with written_whole(self.picture) as partial:
            save_image(reconstruction.images, partial, format="png", padding=0)
