"""Everything that an attacker may see, in memory and on disk."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from tasks.errors import TaskError
from tasks.models.spec import ModelSpec

FORMAT = "gifd-bench/observation/1"


@dataclass(frozen=True)
class Observation:
    """What the server holds after one round: all that an attack is given, and never an image.

    Attributes:
        update: what the client sent, by parameter name: the gradient of its mean loss.
        model: how to rebuild the victim.
        weights: the victim's state dict at the start of the round, which the server sent out.
        mean, std: the normalisation, per channel: the victim sees (image - mean) / std.
        class_names: by label.
        batch_size: how many images the update was computed on.
        labels: (B,) int64 where the threat model grants the labels, else None.
    """

    update: Mapping[str, Tensor]
    model: ModelSpec
    weights: Mapping[str, Tensor]
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    class_names: tuple[str, ...]
    batch_size: int
    labels: Tensor | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "update", MappingProxyType(dict(self.update)))
        object.__setattr__(self, "weights", MappingProxyType(dict(self.weights)))

    def victim(self) -> nn.Module:
        """The victim with the server's weights, in evaluation mode, its parameters in update order."""
        victim = self.model.build()
        victim.load_state_dict(dict(self.weights))
        return victim

    def save(self, path: Path) -> None:
        """Write one safetensors file; it appears whole or not at all."""
        tensors = {f"update/{name}": value.contiguous() for name, value in self.update.items()}
        tensors |= {f"weights/{name}": value.contiguous() for name, value in self.weights.items()}
        if self.labels is not None:
            tensors["labels"] = self.labels
        facts = {
            "model": {
                "name": self.model.name,
                "num_classes": self.model.num_classes,
                "image_size": self.model.image_size,
                "options": dict(self.model.options),
            },
            "mean": self.mean,
            "std": self.std,
            "class_names": self.class_names,
            "batch_size": self.batch_size,
        }
        partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
        save_file(tensors, partial, metadata={"format": FORMAT, "observation": json.dumps(facts)})
        partial.replace(path)

    @classmethod
    def load(cls, path: Path) -> Observation:
        """Read a file that `save` wrote.

        Raises:
            TaskError: no such file, damaged, of another format, or not fitting its own model.
        """
        if not path.is_file():
            raise TaskError(f"{path}: no such observation file")
        try:
            with safe_open(path, framework="pt") as file:
                metadata = file.metadata() or {}
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        except (SafetensorError, OSError) as error:
            raise TaskError(f"{path}: damaged observation file ({error})") from error
        if metadata.get("format") != FORMAT:
            found = metadata.get("format", "none")
            raise TaskError(f"{path}: an observation of format '{FORMAT}' expected, found '{found}'")
        try:
            observation = _assemble(json.loads(metadata["observation"]), tensors)
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            detail = " ".join(str(error).split())
            raise TaskError(f"{path}: damaged observation file ({detail})") from error
        return observation


def _assemble(facts: dict[str, Any], tensors: dict[str, Tensor]) -> Observation:
    """Put the parts of a file together, and check that they fit the model they name."""

    def below(prefix: str) -> dict[str, Tensor]:
        return {name[len(prefix) :]: t for name, t in tensors.items() if name.startswith(prefix)}

    model = facts["model"]
    spec = ModelSpec(
        str(model["name"]), int(model["num_classes"]), int(model["image_size"]), dict(model["options"])
    )
    if not (1 <= spec.num_classes <= 1 << 17 and 1 <= spec.image_size <= 1 << 12):
        raise ValueError(f"{spec.num_classes} classes at {spec.image_size} pixels")
    observation = Observation(
        update=below("update/"),
        model=spec,
        weights=below("weights/"),
        mean=_channels(facts["mean"]),
        std=_channels(facts["std"]),
        class_names=tuple(str(name) for name in facts["class_names"]),
        batch_size=int(facts["batch_size"]),
        labels=tensors.get("labels"),
    )
    if observation.batch_size < 1 or min(observation.std) <= 0:
        raise ValueError("batch_size and std must be positive")
    parameters = dict(observation.victim().named_parameters())
    if parameters.keys() != observation.update.keys():
        odd = min(parameters.keys() ^ observation.update.keys())
        raise ValueError(f"update and model disagree on parameter '{odd}'")
    for name, parameter in parameters.items():
        if parameter.shape != observation.update[name].shape:
            raise ValueError(f"update of '{name}' has shape {tuple(observation.update[name].shape)}")
    return observation


def _channels(values: Any) -> tuple[float, float, float]:
    red, green, blue = (float(value) for value in values)
    return red, green, blue
