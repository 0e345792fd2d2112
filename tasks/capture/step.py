"""Capture of a user's own training step."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook

from gifd_bench.tasks.batch_norm import batch_norm_layers
from gifd_bench.tasks.capture.models import unwrapped
from gifd_bench.tasks.client import ClientSettings, FedAvg
from gifd_bench.tasks.errors import TaskError
from gifd_bench.tasks.models.spec import ModelSpec
from gifd_bench.tasks.observation import KnownDefense, Observation


class Capture:
    """What a client's training did to a model, from the first forward pass to the last step.

    Attributes:
        before: the state dict at the start.
        after: the state dict at the end.
        gradients: the gradient of each parameter when the first step was taken or, if none was taken, at
            the end; `None` for parameters without one.
        batches: the number of images in each forward pass of the training.
        steps: the number of optimizer steps.
    """

    def __init__(self, model: nn.Module) -> None:
        self.model = unwrapped(model)
        self.before = _state(self.model)
        self.after: dict[str, Tensor] = {}
        self.gradients: dict[str, Tensor | None] = {}
        self.batches: list[int] = []
        self.steps = 0
        self._shape: tuple[int, ...] = ()
        self._modes: dict[str, bool] = {}
        self._images_of_first_step = 0
        self._optimizer: torch.optim.Optimizer | None = None
        self._accumulated: dict[str, Tensor] = {}
        self._backward_since_step = False

    def observation(
        self,
        *,
        send: str | None = None,
        batch_size: Any = None,
        client: ClientSettings | None = None,
        spec: ModelSpec | None = None,
        image_size: Any = None,
        mean: Any = None,
        std: Any = None,
        class_names: Any = None,
        labels: Any = None,
        defenses: tuple[KnownDefense, ...] | None = None,
    ) -> Observation:
        """What a server would see of the captured training.

        Args:
            send: `gradient` or `difference`, whichever the client sends. By default it is the gradient if
                at most one step was taken, and the difference of the parameters otherwise.
            batch_size: the number of images of the client; by default, as many as were seen.
            client: what the client did. By default it is what was seen: the modes of the layers and, for a
                difference, the optimizer and its steps in one epoch.
            spec: how to rebuild the model, as in `Observation.from_gradients`.
            image_size: side of the images in pixels, or (height, width).
            mean: the mean of each channel, which the client subtracts.
            std: the standard deviation of each channel, by which the client divides.
            class_names: names of the classes, in the order of the labels.
            labels: the labels of the images, (B,) int64, if they are granted to the attacker.
            defenses: the defenses that the attacker knows.

        Returns:
            The observation, which an attack can be given.

        Raises:
            TaskError: no backward pass was seen, or the parts do not fit together.
        """
        if send not in (None, "gradient", "difference"):
            raise TaskError(f"send must be 'gradient' or 'difference', not '{send}'")
        difference = self.steps > 1 if send is None else send == "difference"
        if not difference and not any(value is not None for value in self.gradients.values()):
            raise TaskError(
                "no gradient was captured: call backward, on a loss of this very model, inside "
                "`with gb.capture(model)`"
            )
        images = sum(self.batches) if difference else self._images_of_first_step
        count = images if batch_size is None else batch_size
        size = (
            self._shape[2:] if image_size is None and spec is None and len(self._shape) == 4 else image_size
        )
        original = _state(self.model)
        modes = {name: module.training for name, module in self.model.named_modules()}
        try:
            # As it was: the weights before the step, in the mode of the forward pass.
            self.model.load_state_dict(self.before)
            _set_modes(self.model, self._modes or modes)
            rest: dict[str, Any] = {
                "batch_size": count,
                "spec": spec,
                "image_size": size,
                "mean": mean,
                "std": std,
                "class_names": class_names,
                "labels": labels,
                "defenses": defenses,
            }
            if not difference:
                return Observation.from_gradients(self.model, self.gradients, client=client, **rest)
            described = client or self._described(int(count))
            return Observation.from_round(self.model, self.after, client=described, **rest)
        finally:
            self.model.load_state_dict(original)
            _set_modes(self.model, modes)

    def _described(self, images: int) -> ClientSettings | None:
        """The local training as it was seen; `None` if its optimizer is not one that can be described."""
        local = local_settings(self._optimizer, max(self.batches, default=1), sum(self.batches), images)
        if local is None:
            return None
        layers = [name for name, layer in batch_norm_layers(self.model) if layer.running_mean is not None]
        training = any(self._modes.get(name, False) for name in layers)
        draws = any(
            self._modes.get(name, False)
            for name, module in self.model.named_modules()
            if "drop" in type(module).__name__.lower() or "stochastic" in type(module).__name__.lower()
        )
        return ClientSettings(
            local, batch_norm="train" if training else "eval", dropout="train" if draws else "eval"
        )

    # What the hooks call.

    def _see_forward(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        tensors = [value for value in (*args, *kwargs.values()) if isinstance(value, Tensor)]
        if not torch.is_grad_enabled() or not tensors or tensors[0].ndim < 2:
            return
        if not self._modes:
            self._modes = {name: module.training for name, module in self.model.named_modules()}
            self._shape = tuple(tensors[0].shape)
        self.batches.append(len(tensors[0]))

    def _see_gradient(self, name: str, parameter: Tensor) -> None:
        if self.steps <= 1 and parameter.grad is not None:
            self._accumulated[name] = parameter.grad.detach().clone()
            self._backward_since_step = True

    def _see_step(self, optimizer: torch.optim.Optimizer, *_: Any) -> None:
        if not self._is_own(optimizer):
            return
        self._backward_since_step = False
        if self.steps == 0:
            self._optimizer = optimizer
            self._keep_gradients()
        self.steps += 1

    def _see_step_end(self, optimizer: torch.optim.Optimizer, *_: Any) -> None:
        if self.steps == 1 and self._backward_since_step and self._is_own(optimizer):
            # Lightning gives a step the backward pass as a closure, which runs inside it.
            self._keep_gradients()

    def _is_own(self, optimizer: torch.optim.Optimizer) -> bool:
        own = {id(parameter) for parameter in self.model.parameters()}
        return any(id(p) in own for group in optimizer.param_groups for p in group["params"])

    def _keep_gradients(self) -> None:
        self._images_of_first_step = sum(self.batches)
        self.gradients = {
            name: None if value.grad is None else value.grad.detach().clone()
            for name, value in self.model.named_parameters()
        }

    def _end(self) -> None:
        self.after = _state(self.model)
        if self.steps == 0:
            self._keep_gradients()
            if not any(value is not None and bool(value.any()) for value in self.gradients.values()):
                # Zeroed already: as they were when backward had ended.
                self.gradients = {name: self._accumulated.get(name) for name in self.gradients}


@contextmanager
def capture(model: nn.Module) -> Iterator[Capture]:
    """Capture one or several training steps of a model, without changing the code of the training.

        with gb.capture(model) as update:
            loss(model(images), labels).backward()
            optimizer.step()
        observation = update.observation(mean=mean, std=std)

    The gradient is the one that the optimizer's first step uses: unscaled by an AMP scaler, clipped,
    accumulated, or made noisy by Opacus.

    Args:
        model: the model that is trained, which may be wrapped. It is left as it is.

    Yields:
        The capture, which is complete when the block ends.

    Raises:
        TaskError: it is not a model.
    """
    if not isinstance(model, nn.Module):
        raise TaskError(f"capture takes a torch.nn.Module, not a {type(model).__name__}")
    seen = Capture(model)
    handles = [seen.model.register_forward_pre_hook(seen._see_forward, with_kwargs=True)]
    handles += [
        parameter.register_post_accumulate_grad_hook(  # type: ignore[no-untyped-call]
            _named(seen._see_gradient, name)
        )
        for name, parameter in seen.model.named_parameters()
        if parameter.requires_grad
    ]
    handles.append(register_optimizer_step_pre_hook(seen._see_step))
    handles.append(register_optimizer_step_post_hook(seen._see_step_end))
    try:
        yield seen
    finally:
        for handle in handles:
            handle.remove()
        seen._end()


def local_settings(
    optimizer: torch.optim.Optimizer | None, batch: int, seen: int, images: int
) -> FedAvg | None:
    """The settings of a local training with an optimizer of PyTorch; `None` for another optimizer.

    Args:
        optimizer: the optimizer as it was when the training began.
        batch: images of a step.
        seen: images over all steps.
        images: images of the client.
    """
    if optimizer is None:
        return None
    # Opacus keeps the optimizer that it wraps.
    inner = getattr(optimizer, "original_optimizer", optimizer)
    group: Mapping[str, Any] = inner.param_groups[0]
    kinds: dict[type, str] = {
        torch.optim.SGD: "sgd",
        torch.optim.Adam: "adam",
        torch.optim.AdamW: "adamw",
    }
    kind = kinds.get(type(inner))
    if kind is None or group.get("dampening") or group.get("maximize") or group.get("amsgrad"):
        return None
    own = {"sgd": ("momentum", "nesterov"), "adam": ("betas",), "adamw": ("betas",)}[kind]
    options: dict[str, Any] = {name: group[name] for name in own}
    if "eps" in group:
        options["epsilon"] = float(group["eps"])
    return FedAvg(
        epochs=max(1, round(seen / images)),
        batch_size=batch,
        learning_rate=float(group["lr"]),
        optimizer=kind,  # type: ignore[arg-type]
        weight_decay=float(group["weight_decay"]),
        **options,
    )


def _named(tell: Callable[[str, Tensor], None], name: str) -> Callable[[Tensor], None]:
    return lambda parameter: tell(name, parameter)


def _set_modes(model: nn.Module, modes: Mapping[str, bool]) -> None:
    for name, module in model.named_modules():
        module.training = modes.get(name, module.training)


def _state(model: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in model.state_dict().items()}
