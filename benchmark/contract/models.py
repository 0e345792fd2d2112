"""What every victim model promises, one function for each promise; its docstring says what it checks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gifd_bench.benchmark.contract.devices import DevicesNamed
from gifd_bench.benchmark.contract.subject import Broken
from gifd_bench.common.errors import one_line
from gifd_bench.tasks.gradient import loss_gradient, trainable
from gifd_bench.tasks.models.spec import ModelSpec


@dataclass(frozen=True)
class ModelSubject:
    """A victim model under test.

    Attributes:
        spec: the spec of the model, with the number of classes and the image size of the test.
    """

    spec: ModelSpec

    def batch(self, images: int) -> tuple[Tensor, Tensor]:
        """Images with the distribution of normalized ones, and labels."""
        generator = torch.Generator().manual_seed(0)
        inputs = torch.randn(images, *self.spec.image_shape, generator=generator)
        return inputs, torch.arange(images) % self.spec.num_classes

    def gradient(self, model: nn.Module, inputs: Tensor, labels: Tensor) -> dict[str, Tensor]:
        """The gradient of the mean loss, by the names of the parameters that are trained and used."""
        parameters = dict(trainable(model))
        if not parameters:
            raise Broken("all of its parameters are frozen: they have requires_grad=False")
        loss = F.cross_entropy(model(inputs), labels)
        found = torch.autograd.grad(loss, list(parameters.values()), allow_unused=True)
        gradients: dict[str, Tensor] = {}
        for name, gradient in zip(parameters, found, strict=True):
            if gradient is not None:
                gradients[name] = gradient
        if not gradients:
            raise Broken("the loss depends on no parameter that is trained")
        return gradients


def gives_a_logit_for_every_class(subject: ModelSubject) -> None:
    """For one image and for three, the output is (B, classes) and finite, in the type of the input."""
    model = subject.spec.build()
    for images in (1, 3):
        inputs, _ = subject.batch(images)
        logits = model(inputs)
        expected = (images, subject.spec.num_classes)
        if not isinstance(logits, Tensor):
            raise Broken(f"the output is a {type(logits).__name__}, not a tensor {expected}")
        if tuple(logits.shape) != expected or logits.dtype != inputs.dtype:
            raise Broken(
                f"the output is {tuple(logits.shape)} {logits.dtype}, not {expected} {inputs.dtype}"
            )
        if not bool(logits.isfinite().all()):
            raise Broken("a logit is not finite")


def draws_its_weights_from_the_seed_alone(subject: ModelSubject) -> None:
    """The same seed gives the same weights, whatever the state of the global generator.

    The global random generator is left as it was, and another seed gives other weights.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        before = torch.random.get_rng_state()
        first = _state(subject.spec.build(7))
        if not torch.equal(torch.random.get_rng_state(), before):
            raise Broken("building it draws from the global random generator of whoever builds it")
        torch.manual_seed(2)
        again, other = _state(subject.spec.build(7)), _state(subject.spec.build(8))
    if first.keys() != again.keys():
        raise Broken("the same seed gives other parameters")
    for name, value in first.items():
        if not torch.equal(value, again[name]):
            raise Broken(f"'{name}': the same seed gives other weights")
    if all(torch.equal(value, other[name]) for name, value in first.items()):
        raise Broken("another seed gives the same weights")


def has_a_gradient(subject: ModelSubject) -> None:
    """The loss depends on a parameter that is not frozen, and its gradients are finite."""
    model = subject.spec.build()
    for name, gradient in subject.gradient(model, *subject.batch(3)).items():
        if not bool(gradient.isfinite().all()):
            raise Broken(f"the gradient of '{name}' is not finite")


def can_be_differentiated_twice(subject: ModelSubject) -> None:
    """The gradient of the loss can be differentiated in the images, as attacks do.

    The derivative is finite and not zero.
    """
    inputs, labels = subject.batch(2)
    inputs.requires_grad_()
    gradients = loss_gradient(subject.spec.build(), inputs, labels, create_graph=True)
    energy = torch.stack([gradient.square().sum() for gradient in gradients]).sum()
    try:
        (slope,) = torch.autograd.grad(energy, inputs)
    except RuntimeError as error:
        raise Broken(f"its gradient cannot be differentiated: {one_line(error)}") from error
    if not bool(slope.isfinite().all()) or not bool(slope.any()):
        raise Broken("the derivative of its gradient in the images is zero or not finite")


def stays_as_it_is_in_evaluation_mode(subject: ModelSubject) -> None:
    """It is built in evaluation mode, and running it in this mode changes no weight and no statistic.

    It draws nothing at random, and gives the same logits again.
    """
    model = subject.spec.build()
    if any(module.training for module in model.modules()):
        raise Broken("a part of it is in training mode")
    before = {name: value.clone() for name, value in _state(model).items()}
    inputs, _ = subject.batch(3)
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(1)
        first = model(inputs)
        torch.manual_seed(2)
        second = model(inputs)
    if not torch.equal(first, second):
        raise Broken("the same images have other logits the second time")
    for name, value in _state(model).items():
        if not torch.equal(value, before[name]):
            raise Broken(f"running it changes '{name}'")


def names_the_device_of_every_tensor_that_it_makes(subject: ModelSubject) -> None:
    """A forward pass makes tensors only on an explicitly named device."""
    model = subject.spec.build()
    inputs, _ = subject.batch(2)
    with DevicesNamed():
        model(inputs)


CHECKS: tuple[Callable[[ModelSubject], None], ...] = (
    gives_a_logit_for_every_class,
    draws_its_weights_from_the_seed_alone,
    has_a_gradient,
    can_be_differentiated_twice,
    stays_as_it_is_in_evaluation_mode,
    names_the_device_of_every_tensor_that_it_makes,
)


def _state(model: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach() for name, value in model.state_dict().items()}
