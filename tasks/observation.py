"""Everything that an attacker may see."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, nn

from gifd_bench.common.errors import one_line
from gifd_bench.tasks.batch_norm import Moments, running_moments
from gifd_bench.tasks.client import ClientSettings
from gifd_bench.tasks.gradient import trainable
from gifd_bench.tasks.models.second_derivatives import give_second_derivatives
from gifd_bench.tasks.models.spec import ModelSpec
from gifd_bench.tasks.threat_model import ThreatModel

# Of one observation: whoever writes one chooses how much memory reading it takes.
MOST_IMAGES = 4096


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
        update: what the server received, by the names of the parameters that were sent, in the model's
            order: a gradient of the loss or, where `is_difference`, parameters after local training less
            those before.
        is_difference: see `update`.
        model: how to rebuild the victim.
        weights: the victim's state dict at the start of the round, which the server sent out.
        mean, std: the normalization, per channel: the victim sees (image - mean) / std.
        class_names: by label.
        batch_size: how many images the update was computed on, over all clients.
        threat_model: what is granted besides.
        client: the local settings, where they are granted.
        labels: (batch_size,) int64, or (batch_size, classes) float32 where images have several, where they
            are granted.
        batch_statistics: moments of the private batch by BatchNorm layer, where they are granted.
        buffers: the running statistics after the round by name, where clients send them.
        defenses: those that were applied, in order, where they are granted; empty where there was none.
    """

    update: Mapping[str, Tensor]
    is_difference: bool
    model: ModelSpec
    weights: Mapping[str, Tensor]
    mean: tuple[float, ...]
    std: tuple[float, ...]
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
        victim = self.rebuilt_victim() if self._own_victim is None else self._own_victim
        with suppress(Exception):  # A model that does not take its images is told of where it is used.
            give_second_derivatives(victim, torch.zeros(1, *self.model.image_shape, device="cpu"))
        return victim

    def with_victim_of(self, other: Observation) -> Observation:
        """The same, holding the victim and the weights of another observation in place of its own, which
        are equal to them."""
        shared = replace(self, weights=other.weights)
        # Where a cached property keeps its value.
        vars(shared)["_victim"] = other.victim()
        return shared

    def trained(self) -> list[str]:
        """The parameters that the client trains, in the model's order: those that its settings name; else
        those that were sent or, where it sends a part, all that are not frozen."""
        if self.client is None or (self.client.trained is None and self.client.sent is None):
            return list(self.update)
        return self.client.trains(name for name, _ in trainable(self.victim()))

    def rebuilt_victim(self) -> nn.Module:
        """The victim as anybody would build it who has nothing but `model` and `weights`.

        Raises:
            TaskError: it cannot be built.
            RuntimeError: the weights are not those of this model.
        """
        victim = self.model.build(most=sum(value.numel() for value in self.weights.values()))
        victim.load_state_dict(dict(self.weights))
        return victim

    def gradient(self) -> dict[str, Tensor]:
        """The update as an estimate of the gradient of the mean loss at the weights sent out.

        A difference of parameters is divided by minus the lengths of the local steps (their learning rates,
        with momentum) where these are known, and by -1 where they are not: then only its direction means
        anything. A loss that is summed over images is divided by their number.
        """
        scale, client = 1.0, self.client
        if client is not None and client.local is not None:
            scale = client.local.step_lengths(self.batch_size // client.clients)
        if client is not None and client.loss.reduction == "sum":
            images = self.batch_size // client.clients
            scale *= images if client.local is None else min(images, client.local.batch_size)
        if not self.is_difference:
            return {n: value if scale == 1.0 else value / scale for n, value in self.update.items()}
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
        gradients: Any,
        *,
        batch_size: Any,
        spec: ModelSpec | None = None,
        image_size: Any = None,
        channels: Any = None,
        mean: Any = None,
        std: Any = None,
        class_names: Any = None,
        labels: Any = None,
        client: ClientSettings | None = None,
        defenses: Sequence[KnownDefense] | None = None,
    ) -> Observation:
        """An observation from one's own federated learning code, to audit what it sends.

        Numbers may be Python's or NumPy's, and sequences lists, tuples, arrays or tensors.

        Args:
            model: with the weights at the start of the round; it takes normalized images (B, C, H, W) and
                gives logits (B, classes), alone or in a tuple, a mapping or an object with `logits`. It may
                be wrapped by Opacus, DataParallel, DistributedDataParallel or torch.compile.
            gradients: what the client sent: a gradient, or with `client.local` the difference of
                parameters, after less before. Tensors or arrays of any floating-point type, by name (as the
                model or a wrapper of it calls them) or in order: of the parameters, of those that are
                trained, or of the whole state dict with its buffers; or one flat vector; or a `.pt`,
                `.npz` or `.safetensors` file of these. `None`, or a name that is missing, is a parameter
                that was not sent: it is frozen, or the loss does not depend on it.
            batch_size: how many images the update was computed on, over all clients.
            spec: how to rebuild the model, for whoever reads the observation from a file; for a class of
                one's own `ModelSpec("my_net.py:Net", num_classes=10, image_size=32)`. Without it the
                observation keeps a copy of the model: it can be attacked, and not saved.
            image_size: side of the model's images in pixels, or (height, width); needed where there is no
                `spec`.
            channels: of the model's images; by default those of `spec` or as many as `mean` has, or else as
                many as the model's first convolution takes.
            mean: of the normalization of the model's input, per channel: it sees (image - mean) / std.
            std: likewise. By default there is no normalization: the model takes images in [0, 1].
            class_names: by label; by default the numbers of the classes. A prior is conditioned on a class
                that it knows by the same name.
            labels: (batch_size,) whole numbers, or (batch_size, classes) where the client's loss takes
                several labels of an image, if the attacker is to know them; `None` if they are inferred.
            client: what the client did; `None` for one gradient, in the mode in which `model` is.
            defenses: those that the attacker knows were applied, in order, with or without parameters;
                `None` if nothing is known, and empty if it is known that there was none.

        Raises:
            TaskError: the parts do not fit together, or nothing can be read from them, since the update is
                zero or not finite, or the model has no second derivative; the message says which.
        """
        from gifd_bench.tasks.capture.observing import Described, observe_gradients

        described = Described.of(
            model, spec, batch_size, image_size, channels, mean, std, class_names, labels
        )
        return observe_gradients(described, gradients, client, defenses)

    @classmethod
    def from_round(
        cls,
        before: Any,
        after: Any,
        *,
        batch_size: Any,
        model: nn.Module | None = None,
        spec: ModelSpec | None = None,
        image_size: Any = None,
        channels: Any = None,
        mean: Any = None,
        std: Any = None,
        class_names: Any = None,
        labels: Any = None,
        client: ClientSettings | None = None,
        defenses: Sequence[KnownDefense] | None = None,
    ) -> Observation:
        """An observation of a round of local training, from the weights that the server sent out and those
        that it received.

        Args:
            before: the model itself, or its weights, in any form that `from_gradients` takes an update in.
            after: likewise, after local training; running statistics of BatchNorm among them are kept. A
                parameter that is missing was not sent.
            batch_size: see `from_gradients`.
            model: whose weights `before` are; needed where that is no model and there is no `spec`.
            spec: see `from_gradients`, as of all that follow but `client`.
            image_size: side of the images in pixels, or (height, width).
            channels: of the images.
            mean: of each channel, which the client subtracts.
            std: of each channel, which the client divides by.
            class_names: names of the classes, in their order.
            labels: of the images, where they are granted to the attacker: (B,) int64.
            client: what the client did; `None` if the attacker does not know it, and takes the round for
                one step of unknown length.
            defenses: see `from_gradients`.

        Raises:
            TaskError: see `from_gradients`.
        """
        from gifd_bench.tasks.capture.observing import Described, observe_round

        described = Described.before(
            before, model, spec, batch_size, image_size, channels, mean, std, class_names, labels
        )
        return observe_round(described, before, after, client, defenses)


def check(observation: Observation) -> None:
    """Whether the parts fit each other.

    Raises:
        ValueError: they do not; the message says which.
    """
    spec = observation.model
    channels, height, width = spec.image_shape
    if not (1 <= spec.num_classes <= 1 << 17 and 1 <= min(height, width) <= max(height, width) <= 1 << 12):
        raise ValueError(f"{spec.num_classes} classes at {height}x{width} pixels")
    if not len(observation.mean) == len(observation.std) == channels:
        raise ValueError(
            f"{len(observation.mean)} means and {len(observation.std)} stds for images of {channels} "
            f"channel{'s' * (channels != 1)}"
        )
    clients = observation.client.clients if observation.client else 1
    if observation.batch_size > MOST_IMAGES:
        raise ValueError(
            f"a batch of {observation.batch_size:,} images; {MOST_IMAGES:,} at most are attacked"
        )
    if observation.batch_size < 1 or observation.batch_size % clients or min(observation.std) <= 0:
        raise ValueError("batch_size (a multiple of the number of clients) and std must be positive")
    if len(observation.class_names) != spec.num_classes:
        raise ValueError(f"{len(observation.class_names)} class names for {spec.num_classes} classes")
    try:
        victim = observation.victim()
    except RuntimeError as error:
        raise ValueError(f"weights do not fit model '{spec.name}': {one_line(error)}") from error
    parameters = dict(victim.named_parameters())
    if not observation.update:
        raise ValueError("the update holds no parameter")
    unknown = observation.update.keys() - parameters.keys()
    if unknown:
        raise ValueError(f"update and model disagree on parameter '{min(unknown)}'")
    if list(observation.update) != [name for name in parameters if name in observation.update]:
        raise ValueError("the update's parameters are not in the model's order")
    for name, update in observation.update.items():
        parameter = parameters[name]
        if parameter.shape != update.shape or parameter.dtype != update.dtype:
            raise ValueError(f"update of '{name}' has shape {tuple(update.shape)} and {update.dtype}")
    _check_trained(observation)
    _check_labels(observation)


def _check_trained(observation: Observation) -> None:
    missing = observation.update.keys() - observation.trained()
    if missing:
        raise ValueError(f"parameter '{min(missing)}' was sent, and client.trained does not name it")


def _check_labels(observation: Observation) -> None:
    spec, labels = observation.model, observation.labels
    if (labels is None) != (observation.threat_model.labels == "inferred"):
        raise ValueError("labels and threat model disagree")
    if labels is None:
        return
    if labels.ndim == 2 and labels.is_floating_point():
        if labels.shape != (observation.batch_size, spec.num_classes):
            raise ValueError(
                f"labels of shape {tuple(labels.shape)} for {observation.batch_size} images and "
                f"{spec.num_classes} classes"
            )
        if not bool(((labels >= 0) & (labels <= 1)).all()):
            raise ValueError("labels of several classes are not in [0, 1]")
        return
    if (
        labels.shape != (observation.batch_size,)
        or labels.dtype != torch.int64
        or not bool(((labels >= 0) & (labels < spec.num_classes)).all())
    ):
        raise ValueError(f"labels are not {observation.batch_size} numbers below {spec.num_classes}")
