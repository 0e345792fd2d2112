"""Everything that an attacker may see."""

from __future__ import annotations

import copy
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
from gifd_bench.tasks.batch_norm import Moments, running_moments, set_batch_norm_training
from gifd_bench.tasks.client import ClientSettings
from gifd_bench.tasks.gradient import trainable
from gifd_bench.tasks.last_layer import OutputLayer, output_layer
from gifd_bench.tasks.models.second_derivatives import give_second_derivatives
from gifd_bench.tasks.models.spec import ModelSpec
from gifd_bench.tasks.threat_model import ThreatModel

# Of one observation: whoever writes one chooses how much memory reading it takes.
MOST_IMAGES = 4096


@dataclass(frozen=True)
class KnownDefense:
    """A defense that the attacker knows.

    Attributes:
        name: the name of a bundled defense, or of one from outside, by file (`my_defense.py:Mine`) or
            import path.
        parameters: its parameters by name; `None` if the attacker knows only the kind of the defense.
    """

    name: str
    parameters: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Observation:
    """What the server holds after one round: everything that an attack is given, and never an image.

    `save` writes an observation to a file, and `load` reads one.

    Attributes:
        update: what the server received, by the names of the sent parameters, in the model's order. It is a
            gradient of the loss or, if `is_difference`, the parameters after local training minus those
            before.
        is_difference: whether the update is a difference of parameters.
        model: how to rebuild the victim.
        weights: the victim's state dict at the start of the round, which the server sent out.
        mean, std: the normalization, per channel: the victim sees (image - mean) / std.
        class_names: names of the classes, in the order of the labels.
        batch_size: the number of images from which the update was computed, over all clients.
        threat_model: what else the attacker is granted.
        client: the local settings; `None` if they are not granted.
        labels: (batch_size,) int64, or (batch_size, classes) float32 if an image may have several labels;
            `None` if they are not granted.
        batch_statistics: the moments of the private batch by BatchNorm layer; `None` if they are not
            granted.
        buffers: the running statistics after the round by name, if clients send them.
        defenses: the applied defenses, in order, and empty if there was none; `None` if nothing is granted
            about them.
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
        """The victim with the server's weights, in evaluation mode.

        All callers share this one object, and must leave it as it is.
        """
        return self._victim

    @cached_property
    def _victim(self) -> nn.Module:
        victim = self.rebuilt_victim() if self._own_victim is None else self._own_victim
        with suppress(Exception):  # A model that does not take its images is told of where it is used.
            give_second_derivatives(victim, torch.zeros(1, *self.model.image_shape, device="cpu"))
        return victim

    def with_victim_of(self, other: Observation) -> Observation:
        """A copy that holds the victim and weights of another observation, which must equal its own."""
        shared = replace(self, weights=other.weights)
        # Where a cached property keeps its value.
        vars(shared)["_victim"] = other.victim()
        return shared

    def trained(self) -> list[str]:
        """The names of the parameters that the client trains, in the model's order.

        They are those that the client's settings name. Without such settings, they are the parameters that
        were sent or, if the client sends only a part, all that are not frozen.
        """
        if self.client is None or (self.client.trained is None and self.client.sent is None):
            return list(self.update)
        return self.client.trains(name for name, _ in trainable(self.victim()))

    def rebuilt_victim(self) -> nn.Module:
        """The victim as anybody would build it who has only `model` and `weights`.

        Raises:
            TaskError: it cannot be built.
            RuntimeError: the weights are not those of this model.
        """
        victim = self.model.build(most=sum(value.numel() for value in self.weights.values()))
        victim.load_state_dict(dict(self.weights))
        return victim

    def output_layer(self, inputs: Tensor) -> OutputLayer:
        """The victim's last linear layer, and what enters it for some images, in the client's mode.

        Args:
            inputs: (N, C, H, W), normalized.

        Raises:
            TaskError: the victim does not end in a linear layer.
        """
        victim = copy.deepcopy(self.victim())
        # One image has no statistics to normalize it by.
        in_training = self.client is not None and self.client.batch_norm == "train" and len(inputs) > 1
        set_batch_norm_training(victim, in_training)
        return output_layer(victim, inputs)

    def gradient(self) -> dict[str, Tensor]:
        """The update as an estimate of the gradient of the mean loss at the weights that were sent out.

        A difference of parameters is divided by the negative sum of the lengths of the local steps (their
        learning rates, with momentum), if these are known. If they are not, it is divided by -1, and only
        its direction is meaningful. A loss that is summed over images is divided by their number.

        Returns:
            One tensor for each sent parameter, by name.
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
        """The BatchNorm statistics that the threat model lets an attack match features with, by layer."""
        level = self.threat_model.bn_statistics
        if level == "batch":
            return self.batch_statistics
        return running_moments(self.weights) if level == "model" else None

    def save(self, path: Path | str) -> None:
        """Write the observation to a safetensors file, which appears complete or not at all.

        Args:
            path: the path of the file.

        Raises:
            StorageError: it cannot be written; an older file of this name is still there.
            TaskError: nobody could rebuild its model; give a `spec` to `from_gradients`.
        """
        from gifd_bench.tasks.observation_file import save_observation

        save_observation(self, Path(path))

    @classmethod
    def load(cls, path: Path | str, imports: Collection[str] = ()) -> Observation:
        """Read a file that `save` wrote. No code in the file runs.

        Args:
            path: the path of the file.
            imports: the models and defenses from outside that the file may name, as in `my_net.py:Net`.
                Their code is imported.

        Returns:
            The observation.

        Raises:
            TaskError: it is no such file, is damaged, or names code that is not among `imports`.
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
        """Make an observation in your own federated learning code, to audit what it sends.

        Numbers may be of Python or NumPy, and sequences may be lists, tuples, arrays or tensors.

        Args:
            model: the model with the weights at the start of the round. It takes normalized images (B, C,
                H, W) and returns logits (B, classes), alone or in a tuple, a mapping or an object with
                `logits`. It may be wrapped by Opacus, DataParallel, DistributedDataParallel or
                torch.compile.
            gradients: what the client sent: a gradient or, with `client.local`, the parameters after local
                training minus those before. Tensors or arrays of any floating-point type, by name (as the
                model or a wrapper calls them) or in order: of the parameters, of the trained parameters, or
                of the whole state dict with its buffers; or one flat vector; or a `.pt`, `.npz` or
                `.safetensors` file of these. `None`, or a missing name, is a parameter that was not sent,
                because it is frozen or the loss does not depend on it.
            batch_size: the number of images from which the update was computed, over all clients.
            spec: how to rebuild the model, for whoever reads the observation from a file; for a class of
                your own, `ModelSpec("my_net.py:Net", num_classes=10, image_size=32)`. Without it, the
                observation keeps a copy of the model: it can be attacked, but not saved.
            image_size: side of the model's images in pixels, or (height, width); needed without a `spec`.
            channels: channels of the model's images. By default they are those of `spec`, or as many as
                `mean` has, or as many as the model's first convolution takes.
            mean: the mean of the normalization, per channel: the model sees (image - mean) / std.
            std: the standard deviation of the normalization. By default there is no normalization: the
                model takes images in [0, 1].
            class_names: names of the classes, in the order of the labels; by default, their numbers. A
                prior is conditioned on a class that it knows by the same name.
            labels: the labels, if the attacker is to know them: (batch_size,) whole numbers, or
                (batch_size, classes) if the client's loss takes several labels of an image. `None` lets the
                attacker infer them.
            client: what the client did; `None` for one gradient, in the mode in which `model` is.
            defenses: the applied defenses that the attacker knows, in order, with or without parameters;
                `None` if the attacker knows nothing, and empty if the attacker knows that there was none.

        Returns:
            The observation, which an attack can be given.

        Raises:
            TaskError: the parts do not fit together, the update is zero or not finite, or the model has no
                second derivative; the message says which.
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
        """Make an observation of a round of local training, from the weights before and after it.

        Args:
            before: the model that the server sent, or its weights, in any form that `from_gradients`
                accepts for an update.
            after: the weights after local training, in any such form; running statistics of BatchNorm among
                them are kept. A missing parameter was not sent.
            batch_size: the number of images from which the update was computed, over all clients.
            model: the model to which the weights `before` belong; needed if `before` is not a model and
                there is no `spec`.
            spec: how to rebuild the model, as in `from_gradients`.
            image_size: side of the images in pixels, or (height, width).
            channels: channels of the images.
            mean: the mean of each channel, which the client subtracts.
            std: the standard deviation of each channel, by which the client divides.
            class_names: names of the classes, in the order of the labels.
            labels: the labels of the images, (B,) int64, if they are granted to the attacker.
            client: what the client did; `None` if the attacker does not know it, and takes the round for
                one step of unknown length.
            defenses: the applied defenses that the attacker knows, as in `from_gradients`.

        Returns:
            The observation, which an attack can be given.

        Raises:
            TaskError: the parts do not fit together, the update is zero or not finite, or the model has no
                second derivative; the message says which.
        """
        from gifd_bench.tasks.capture.observing import Described, observe_round

        described = Described.before(
            before, model, spec, batch_size, image_size, channels, mean, std, class_names, labels
        )
        return observe_round(described, before, after, client, defenses)


def check(observation: Observation) -> None:
    """Check that the parts of an observation fit each other.

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
