"""Everything that an attacker may see."""

from __future__ import annotations

import copy
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, nn

from gifd_bench.common.errors import one_line
from gifd_bench.tasks.batch_norm import Moments, running_moments
from gifd_bench.tasks.client import ClientSettings
from gifd_bench.tasks.errors import TaskError
from gifd_bench.tasks.models.spec import ModelSpec
from gifd_bench.tasks.threat_model import ThreatModel


@dataclass(frozen=True)
class KnownDefense:
    """A defense that the attacker knows of.

    Attributes:
        name: of a bundled defense, or of one from outside, by file (`my_defense.py:Mine`) or import path.
        parameters: `None` where only the kind is known.
    """

    name: str
    parameters: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Observation:
    """What the server holds after one round: all that an attack is given, and never an image.

    `save` writes it to a file, and `load` reads one.

    Attributes:
        update: what the server received, by parameter name in the model's order: a gradient of the mean
            loss or, where `is_difference`, parameters after local training less those before.
        is_difference: see `update`.
        model: how to rebuild the victim.
        weights: the victim's state dict at the start of the round, which the server sent out.
        mean, std: the normalisation, per channel: the victim sees (image - mean) / std.
        class_names: by label.
        batch_size: how many images the update was computed on, over all clients.
        threat_model: what is granted besides.
        client: the local settings, where they are granted.
        labels: (batch_size,) int64, where they are granted.
        batch_statistics: moments of the private batch by BatchNorm layer, where they are granted.
        buffers: the running statistics after the round by name, where clients send them.
        defenses: those that were applied, in order, where they are granted; empty where there was none.
    """

    update: Mapping[str, Tensor]
    is_difference: bool
    model: ModelSpec
    weights: Mapping[str, Tensor]
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    class_names: tuple[str, ...]
    batch_size: int
    threat_model: ThreatModel = field(default_factory=ThreatModel)
    client: ClientSettings | None = None
    labels: Tensor | None = None
    batch_statistics: Mapping[str, Moments] | None = None
    buffers: Mapping[str, Tensor] = field(default_factory=dict)
    defenses: tuple[KnownDefense, ...] | None = None
    # The victim itself, where nobody has said how to rebuild it.
    _own_victim: nn.Module | None = field(default=None, repr=False, compare=False)

    def __post_init__(self) -> None:
        for name in ("update", "weights", "buffers", "batch_statistics"):
            value = getattr(self, name)
            if value is not None:
                object.__setattr__(self, name, MappingProxyType(dict(value)))

    def victim(self) -> nn.Module:
        """The victim with the server's weights, in evaluation mode: one object, shared by all callers,
        who leave it as it is."""
        return self._victim

    @cached_property
    def _victim(self) -> nn.Module:
        return self.rebuilt_victim() if self._own_victim is None else self._own_victim

    def rebuilt_victim(self) -> nn.Module:
        """The victim as anybody would build it who has nothing but `model` and `weights`.

        Raises:
            TaskError: it cannot be built.
            RuntimeError: the weights are not those of this model.
        """
        victim = self.model.build()
        victim.load_state_dict(dict(self.weights))
        return victim

    def gradient(self) -> dict[str, Tensor]:
        """The update as an estimate of the gradient of the mean loss at the weights sent out.

        A difference of parameters is divided by -(learning rate x local steps) where these are known, and
        by -1 where they are not: then only its direction means anything.
        """
        if not self.is_difference:
            return dict(self.update)
        scale = 1.0
        if self.client is not None and self.client.local is not None:
            local = self.client.local
            scale = local.learning_rate * len(list(local.steps(self.batch_size // self.client.clients)))
        return {name: -value / scale for name, value in self.update.items()}

    def batch_norm_moments(self) -> Mapping[str, Moments] | None:
        """The statistics that features may be matched with, by layer, as far as the threat model grants."""
        level = self.threat_model.bn_statistics
        if level == "batch":
            return self.batch_statistics
        return running_moments(self.weights) if level == "model" else None

    def save(self, path: Path | str) -> None:
        """Write it to a safetensors file, which appears whole or not at all.

        Raises:
            StorageError: it cannot be written; what was there before is there still.
            TaskError: it is of a model that nobody could rebuild: give `from_gradients` a `spec`.
        """
        from gifd_bench.tasks.observation_file import save_observation

        save_observation(self, Path(path))

    @classmethod
    def load(cls, path: Path | str, imports: Collection[str] = ()) -> Observation:
        """Read a file that `save` wrote.

        Args:
            path: of the file.
            imports: models and defenses from outside that it may name; see `load_observation`.

        Raises:
            TaskError: it is no such file, is damaged, or names what is not among `imports`.
        """
        from gifd_bench.tasks.observation_file import load_observation

        return load_observation(Path(path), imports)

    @classmethod
    def from_gradients(
        cls,
        model: nn.Module,
        gradients: Mapping[str, Tensor] | Sequence[Tensor],
        *,
        batch_size: int,
        spec: ModelSpec | None = None,
        image_size: int | None = None,
        mean: tuple[float, float, float] = (0.0, 0.0, 0.0),
        std: tuple[float, float, float] = (1.0, 1.0, 1.0),
        class_names: Sequence[str] | None = None,
        labels: Tensor | None = None,
        client: ClientSettings | None = None,
        defenses: Sequence[KnownDefense] | None = None,
    ) -> Observation:
        """An observation from one's own federated learning code, to audit what it sends.

        Args:
            model: with the weights at the start of the round; it takes normalised images (B, 3, S, S) and
                gives logits (B, classes).
            gradients: what the client sent, by parameter name or in the order of `model.parameters()`, each
                of its parameter's shape and dtype: a gradient of the mean loss, or with `client.local` the
                difference of parameters, after less before.
            batch_size: how many images the update was computed on, over all clients.
            spec: how to rebuild the model, for whoever reads the observation from a file; for a class of
                one's own `ModelSpec("my_net.py:Net", num_classes=10, image_size=32)`. Without it the
                observation keeps a copy of the model: it can be attacked, and not saved.
            image_size: S, the side of the model's images in pixels; needed where there is no `spec`.
            mean: of the normalisation of the model's input, per channel: it sees (image - mean) / std.
            std: likewise. By default there is no normalisation: the model takes images in [0, 1].
            class_names: by label; by default the numbers of the classes. A prior is conditioned on a class
                that it knows by the same name.
            labels: (batch_size,) int64, if the attacker is to know them; `None` if they are inferred.
            client: what the client did; `None` for one gradient in evaluation mode.
            defenses: those that the attacker knows were applied, in order, with or without parameters;
                `None` if nothing is known, and empty if it is known that there was none.

        Raises:
            TaskError: the parts do not fit together; the message says which.
        """
        own_victim = None
        if spec is None:
            own_victim = copy.deepcopy(model).cpu().eval()
            spec = _described(own_victim, image_size)
        if image_size not in (None, spec.image_size):
            raise TaskError(f"image_size is {image_size}, and that of the spec {spec.image_size}")
        names = [name for name, _ in model.named_parameters()]
        if not isinstance(gradients, Mapping):
            if len(gradients) != len(names):
                raise TaskError(f"{len(gradients)} gradients given for {len(names)} parameters")
            gradients = dict(zip(names, gradients, strict=True))
        odd = gradients.keys() ^ set(names)
        if odd:
            raise TaskError(f"gradients and model disagree on parameter '{min(odd)}'")
        client = client or ClientSettings()
        granted = defenses is not None and any(known.parameters is not None for known in defenses)
        observation = cls(
            update={name: gradients[name].detach().cpu().clone() for name in names},
            is_difference=client.local is not None,
            model=spec,
            weights={name: value.detach().cpu().clone() for name, value in model.state_dict().items()},
            mean=mean,
            std=std,
            class_names=tuple(class_names or map(str, range(spec.num_classes))),
            batch_size=batch_size,
            threat_model=ThreatModel(
                labels="inferred" if labels is None else "known",
                defense="unknown" if defenses is None else "parameters" if granted else "kind",
            ),
            client=client,
            labels=None if labels is None else labels.detach().cpu().to(torch.int64),
            defenses=None if defenses is None else tuple(defenses),
            _own_victim=own_victim,
        )
        try:
            check(observation)
        except ValueError as error:
            raise TaskError(f"these gradients make no observation: {error}") from error
        return observation


def _described(model: nn.Module, image_size: int | None) -> ModelSpec:
    """What can be told of a model in evaluation mode; the options that it was built with cannot."""
    if image_size is None:
        raise TaskError("give image_size, the side of the model's images in pixels, or a spec of the model")
    name = f"{type(model).__module__}:{type(model).__qualname__}"
    try:
        with torch.no_grad():
            classes = model(torch.zeros(1, 3, image_size, image_size)).shape[1]
    except Exception as error:  # It is somebody else's model.
        detail = f"{type(error).__name__}: {one_line(error)}"
        raise TaskError(
            f"model '{name}' gives no logits for an image of {image_size}x{image_size} ({detail})"
        ) from error
    return ModelSpec(name, int(classes), image_size)


def check(observation: Observation) -> None:
    """Whether the parts fit each other.

    Raises:
        ValueError: they do not; the message says which.
    """
    spec = observation.model
    if not (1 <= spec.num_classes <= 1 << 17 and 1 <= spec.image_size <= 1 << 12):
        raise ValueError(f"{spec.num_classes} classes at {spec.image_size} pixels")
    clients = observation.client.clients if observation.client else 1
    if observation.batch_size < 1 or observation.batch_size % clients or min(observation.std) <= 0:
        raise ValueError("batch_size (a multiple of the number of clients) and std must be positive")
    if len(observation.class_names) != spec.num_classes:
        raise ValueError(f"{len(observation.class_names)} class names for {spec.num_classes} classes")
    try:
        victim = observation.victim()
    except RuntimeError as error:
        raise ValueError(f"weights do not fit model '{spec.name}': {one_line(error)}") from error
    parameters = dict(victim.named_parameters())
    if parameters.keys() != observation.update.keys():
        odd = min(parameters.keys() ^ observation.update.keys())
        raise ValueError(f"update and model disagree on parameter '{odd}'")
    for name, parameter in parameters.items():
        update = observation.update[name]
        if parameter.shape != update.shape or parameter.dtype != update.dtype:
            raise ValueError(f"update of '{name}' has shape {tuple(update.shape)} and {update.dtype}")
    labels = observation.labels
    if (labels is None) != (observation.threat_model.labels == "inferred"):
        raise ValueError("labels and threat model disagree")
    if labels is not None and (
        labels.shape != (observation.batch_size,)
        or labels.dtype != torch.int64
        or not bool(((labels >= 0) & (labels < spec.num_classes)).all())
    ):
        raise ValueError(f"labels are not {observation.batch_size} numbers below {spec.num_classes}")
