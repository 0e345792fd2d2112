"""Observations from captured data; every part is checked when they are made."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from gifd_bench.tasks.capture import values
from gifd_bench.tasks.capture.models import classes_for, first_channels, mode_of, own_copy, unwrapped
from gifd_bench.tasks.capture.tensors import Form, named_tensors
from gifd_bench.tasks.client import ClientSettings
from gifd_bench.tasks.errors import TaskError
from gifd_bench.tasks.models.spec import ModelSpec
from gifd_bench.tasks.observation import KnownDefense, Observation, check
from gifd_bench.tasks.observation_checks import check_readable
from gifd_bench.tasks.threat_model import ThreatModel


@dataclass(frozen=True)
class Described:
    """A user's model, and everything that an observation states except the update.

    Attributes:
        model: the user's own model, without its wrappers; it must not be changed.
        form: names and shapes of its tensors.
        spec: how to rebuild it.
        own_victim: a copy of it, if nobody has said how to rebuild it.
        mean, std: as in `Observation`.
        batch_size: as in `Observation`.
        class_names: as in `Observation`.
        labels: as in `Observation`.
    """

    model: nn.Module
    form: Form
    spec: ModelSpec
    own_victim: nn.Module | None
    mean: tuple[float, ...]
    std: tuple[float, ...]
    batch_size: int
    class_names: tuple[str, ...]
    labels: Tensor | None

    @classmethod
    def of(
        cls,
        model: nn.Module,
        spec: ModelSpec | None,
        batch_size: Any,
        image_size: Any,
        channels: Any,
        mean: Any,
        std: Any,
        class_names: Any,
        labels: Any,
    ) -> Described:
        """Check and gather the arguments of `Observation.from_gradients`.

        Raises:
            TaskError: one of them is wrong, or they do not fit together.
        """
        if not isinstance(model, nn.Module):
            raise TaskError(f"model must be a torch.nn.Module, not a {type(model).__name__}")
        inner = unwrapped(model)
        wanted = None if image_size is None else values.size(image_size, "image_size")
        if spec is not None and wanted not in (None, spec.image_size):
            raise TaskError(f"image_size is {wanted}, and that of the spec {spec.image_size}")
        if spec is None and wanted is None:
            raise TaskError(
                "give image_size, the side of the model's images in pixels, or a spec of the model"
            )
        # What is tried out is what an attacker will have.
        victim = own_copy(inner) if spec is None else spec.build()
        depth = _channels(inner, spec, channels, mean, std)
        if spec is None:
            assert wanted is not None
            name = f"{type(inner).__module__}:{type(inner).__qualname__}"
            spec = ModelSpec(name, 1, wanted, channels=depth)
            spec = replace(spec, num_classes=classes_for(victim, spec.image_shape, name))
            own_victim: nn.Module | None = victim
        else:
            spec = replace(spec, channels=depth)
            found = classes_for(victim, spec.image_shape, spec.name)
            if found != spec.num_classes:
                raise TaskError(
                    f"model '{spec.name}' gives {found} logits, and its spec says "
                    f"{spec.num_classes} classes"
                )
            own_victim = None
        return cls(
            model=inner,
            form=Form.of(inner),
            spec=spec,
            own_victim=own_victim,
            mean=values.per_channel(mean, depth, 0.0, "mean"),
            std=values.per_channel(std, depth, 1.0, "std"),
            batch_size=values.whole(batch_size, "batch_size"),
            class_names=values.names(class_names, spec.num_classes),
            labels=values.label_tensor(labels, spec.num_classes),
        )

    @classmethod
    def before(
        cls, before: Any, model: nn.Module | None, spec: ModelSpec | None, *others: Any
    ) -> Described:
        """Check and gather the arguments of `Observation.from_round`.

        Raises:
            TaskError: it is not known which model has the weights before the round, an argument is wrong,
                or they do not fit together.
        """
        if model is None and isinstance(before, nn.Module):
            model = before
        if model is None and spec is not None:
            model = spec.build()
        if model is None:
            raise TaskError(
                "give model, whose weights `before` are, or a spec of it: from weights alone nobody can "
                "compute a gradient"
            )
        return cls.of(model, spec, *others)


def observe_gradients(
    described: Described,
    gradients: Any,
    client: ClientSettings | None,
    defenses: Sequence[KnownDefense] | None,
) -> Observation:
    """Make the observation for `Observation.from_gradients`."""
    if isinstance(gradients, nn.Module):
        gradients = {name: value.grad for name, value in unwrapped(gradients).named_parameters()}
    sent = named_tensors(gradients, described.form, "gradients")
    settings = mode_of(described.model, described.spec.image_shape, client)
    if client is None and settings.dropout == "train":
        warnings.warn(
            "the model draws at random in training mode (dropout or stochastic depth), and its update is "
            "taken for one of that mode: what was drawn hides some of it from an attacker, so that a poor "
            "reconstruction says little of an update in evaluation mode",
            stacklevel=3,
        )
    weights = _weights(described.model)
    moved = {n: change for n, change in _buffers(sent, described.form).items() if bool(change.any())}
    granted: ClientSettings | None = settings
    if client is None and moved:
        # No gradient has buffers: this is a whole state dict after local training, less the one before.
        granted = None
    is_difference = settings.local is not None or bool(moved)
    buffers = {name: weights[name] + change for name, change in moved.items()}
    update = _parameters(sent, described)
    if client is None and not is_difference and not defenses:
        _check_sign(described, update)
    return _made(described, update, weights, granted, is_difference, buffers, defenses)


def observe_round(
    described: Described,
    before: Any,
    after: Any,
    client: ClientSettings | None,
    defenses: Sequence[KnownDefense] | None,
) -> Observation:
    """Make the observation for `Observation.from_round`."""
    weights = _weights(described.model)
    if not isinstance(before, nn.Module):
        start = named_tensors(before, described.form, "before")
        for name in weights:
            own = described.form.same.get(name, name)
            weights[name] = start[own].clone() if own in start else weights[name]
    end = named_tensors(
        unwrapped(after) if isinstance(after, nn.Module) else after, described.form, "after"
    )
    if client is not None:
        mode_of(described.model, described.spec.image_shape, client)
    names = _parameters(end, described)
    update = {name: value - weights[name] for name, value in names.items()}
    if all(not bool(value.any()) for value in update.values()):
        raise TaskError(
            "after is equal to before: was `after` read before the training, or are both the same tensors? "
            "A copy of `before` is needed, which the training does not change"
        )
    buffers = {
        name: value
        for name, value in _buffers(end, described.form).items()
        if not torch.equal(value, weights[name])
    }
    return _made(described, update, weights, client, True, buffers, defenses)


def _made(
    described: Described,
    update: dict[str, Tensor],
    weights: dict[str, Tensor],
    client: ClientSettings | None,
    is_difference: bool,
    buffers: dict[str, Tensor],
    defenses: Sequence[KnownDefense] | None,
) -> Observation:
    granted = defenses is not None and any(known.parameters is not None for known in defenses)
    own_victim = described.own_victim
    if own_victim is not None:
        own_victim.load_state_dict(weights)
    observation = Observation(
        update=update,
        is_difference=is_difference,
        model=described.spec,
        weights=weights,
        mean=described.mean,
        std=described.std,
        class_names=described.class_names,
        batch_size=described.batch_size,
        threat_model=ThreatModel(
            labels="inferred" if described.labels is None else "known",
            defense="unknown" if defenses is None else "parameters" if granted else "kind",
            local_settings="unknown" if client is None else "known",
        ),
        client=client,
        labels=described.labels,
        buffers=buffers,
        defenses=None if defenses is None else tuple(defenses),
        _own_victim=own_victim,
    )
    try:
        check(observation)
    except ValueError as error:
        raise TaskError(f"these gradients make no observation: {error}") from error
    check_readable(observation)
    return observation


def _check_sign(described: Described, update: dict[str, Tensor]) -> None:
    """Check that the update is a gradient, and not the step against it.

    In the gradient of the cross-entropy, only classes of the batch can have a negative entry of the last
    bias, and all entries sum to zero.

    Raises:
        TaskError: this holds for the negated update, and not for the update.
    """
    classes = described.spec.num_classes
    biases = [v for n, v in update.items() if v.shape == (classes,) and n.endswith("bias")]
    if not biases or classes < described.batch_size + 2:
        return
    bias = biases[-1].double()
    if float(bias.sum().abs()) > 1e-4 * float(bias.abs().sum()):
        return
    negative, positive = int((bias < 0).sum()), int((bias > 0).sum())
    if negative > described.batch_size >= positive > 0:
        raise TaskError(
            f"this update has the sign of a step, not of a gradient ({negative} of {classes} entries of "
            f"the last bias are negative, for {described.batch_size} image"
            f"{'s' * (described.batch_size != 1)}): for a difference of parameters say what the client "
            "does, client=ClientSettings(local=FedAvg(...)), or use Observation.from_round(before, after)"
        )


def _channels(model: nn.Module, spec: ModelSpec | None, channels: Any, mean: Any, std: Any) -> int:
    if channels is not None:
        return values.whole(channels, "channels")
    if spec is not None and spec.channels != 3:
        return spec.channels
    # What the model takes, and what is said of it, should be the same; if not, that is told later.
    return first_channels(model) or values.channels_of(mean) or values.channels_of(std) or 3


def _weights(model: nn.Module) -> dict[str, Tensor]:
    """The state dict, with floating-point numbers in single precision and in memory of its own."""
    return {
        name: (value.detach().cpu().float() if value.is_floating_point() else value.detach().cpu())
        .contiguous()
        .clone()
        for name, value in model.state_dict().items()
    }


def _parameters(sent: dict[str, Tensor], described: Described) -> dict[str, Tensor]:
    """The parameters among the sent tensors, in the model's order, without frozen ones.

    A whole state dict also holds the frozen parameters, which do not change.
    """
    frozen = set(described.form.parameters) - set(described.form.trainable)
    found = {
        name: sent[name]
        for name in described.form.parameters
        if name in sent and not (name in frozen and _still(name, sent, described))
    }
    if not found:
        raise TaskError("the update holds no parameter that is trained: all of those given are frozen")
    return found


def _still(name: str, sent: dict[str, Tensor], described: Described) -> bool:
    value = sent[name]
    start = described.model.state_dict()[name].detach().cpu().float()
    return not bool(value.any()) or torch.equal(value, start)


def _buffers(sent: dict[str, Tensor], form: Form) -> dict[str, Tensor]:
    return {name: value for name, value in sent.items() if name not in form.parameters}
