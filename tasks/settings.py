"""The settings of a task: what is sent, by which model, and what the attacker is granted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from gifd_bench.tasks.choices import check_choices
from gifd_bench.tasks.client import ClientSettings
from gifd_bench.tasks.errors import TaskError
from gifd_bench.tasks.selection import Selection
from gifd_bench.tasks.threat_model import ThreatModel
from gifd_bench.tasks.training.settings import VictimTraining

MOST_IMAGES = 64


@dataclass(frozen=True)
class TaskSettings:
    """A task without its dataset and model.

    Attributes:
        batch_size: images of each client; 1 to 64 over all clients.
        client: what every client does.
        threat_model: what the attacker is granted.
        selection: how targets are drawn from the dataset.
        weights: the weights of the victim when it is sent out: `random` by the cell's seed, `pretrained` as
            published, `trained` here on the dataset's training split, or from a `file`.
        training: how the victim is trained, if its weights are `trained`.
        weights_file: a safetensors file of the model's state dict, if the weights are from a `file`.
    """

    batch_size: int = 1
    client: ClientSettings = ClientSettings()
    threat_model: ThreatModel = ThreatModel()
    selection: Selection = Selection()
    weights: Literal["random", "pretrained", "trained", "file"] = "random"
    training: VictimTraining = VictimTraining()
    weights_file: str | None = None

    def __post_init__(self) -> None:
        check_choices(self, "task")
        if not (self.batch_size >= 1 and self.images <= MOST_IMAGES):
            raise TaskError(
                f"batch_size x clients must be between 1 and {MOST_IMAGES}, "
                f"not {self.batch_size} x {self.client.clients}"
            )

        if (self.weights == "file") != (self.weights_file is not None):
            raise TaskError("weights_file: give it with weights=file, and only then")

    @property
    def images(self) -> int:
        """The number of images from which the server's update is computed, over all clients."""
        return self.batch_size * self.client.clients
