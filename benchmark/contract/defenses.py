"""What every defense promises, one function for each promise; its docstring says what it checks."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import FrozenInstanceError, asdict, dataclass, fields

import torch
from torch import Tensor

from gifd_bench.benchmark.contract.devices import DevicesNamed
from gifd_bench.benchmark.contract.subject import Broken
from gifd_bench.common.errors import one_line
from gifd_bench.tasks.client import ClientSettings, FedAvg
from gifd_bench.tasks.datasets.photos import Photos
from gifd_bench.tasks.defenses.base import Defense, PrivateBatch
from gifd_bench.tasks.defenses.knowledge import describe
from gifd_bench.tasks.defenses.registry import DEFENSES
from gifd_bench.tasks.errors import TaskError
from gifd_bench.tasks.gradient import loss_gradient
from gifd_bench.tasks.models.spec import ModelSpec
from gifd_bench.tasks.settings import TaskSettings
from gifd_bench.tasks.task import Task
from gifd_bench.tasks.threat_model import ThreatModel

VICTIM = ModelSpec("convnet", len(Photos.class_names), 32, {"width": 4})


@dataclass(frozen=True)
class DefenseSubject:
    """A defense under test.

    Attributes:
        make: a new instance of it, always with the same options.
    """

    make: Callable[[], Defense]


@dataclass(frozen=True)
class DefenseCase:
    """What a client has, and would send without a defense.

    Attributes:
        name: the name of the case in messages.
        batch: private photographs and the victim.
        update: the clean update.
    """

    name: str
    batch: PrivateBatch
    update: dict[str, Tensor]


def is_a_frozen_value(subject: DefenseSubject) -> None:
    """It is a frozen dataclass whose fields are everything that it holds, and can be written as JSON.

    An instance with the same fields is equal to it, and its name leads back to its class.
    """
    defense = subject.make()
    names = {field.name for field in fields(defense)}
    odd = sorted(vars(defense).keys() - names)
    if odd:
        raise Broken(
            f"'{odd[0]}' is an attribute but no field: decorate the class with dataclass(frozen=True)"
        )
    for name in names:
        try:
            setattr(defense, name, getattr(defense, name))
        except FrozenInstanceError:
            continue
        raise Broken(f"'{name}' can be set: decorate the class with dataclass(frozen=True)")
    try:
        options = json.loads(json.dumps(asdict(defense), allow_nan=False))
    except (TypeError, ValueError) as error:
        raise Broken(f"its fields are no JSON values: {one_line(error)}") from error
    if type(defense)(**options) != defense or subject.make() != defense:
        raise Broken("built with the same fields again it is not equal to itself")
    for name, _ in describe(defense):
        if DEFENSES.find(name) is not type(defense):
            raise Broken(f"under its name '{name}' there is another defense")


def leaves_what_it_is_given_as_it_is(subject: DefenseSubject) -> None:
    """It changes no byte of the clean update, the private batch or the model."""
    for case in _cases():
        given = {f"the update of '{name}'": value for name, value in case.update.items()}
        given |= {f"the model's '{name}'": value for name, value in case.batch.model.state_dict().items()}
        given |= {"the images": case.batch.inputs, "the labels": case.batch.labels}
        before = {name: value.clone() for name, value in given.items()}
        defense = subject.make()
        defense.gradient(case.batch, _generator())
        defense.apply(case.update, case.batch, _generator())
        for name, value in given.items():
            if not torch.equal(value, before[name]):
                raise Broken(f"{case.name}: it changes {name} in place")


def sends_an_update_of_the_same_form(subject: DefenseSubject) -> None:
    """It sends the same names in the same order, with the same shapes and types, and finite values.

    The tensors have no graph.

    This is checked for a gradient and for a difference of parameters, with one image and with three.
    """
    for case in _cases():
        sent = subject.make().apply(case.update, case.batch, _generator())
        if list(sent) != list(case.update):
            raise Broken(f"{case.name}: it sends {list(sent)[:3]}..., not the parameters in their order")
        _same_form(case.name, case.update, sent)


def computes_a_gradient_of_the_same_form(subject: DefenseSubject) -> None:
    """The gradient of a local step has a finite tensor of the right shape and type for each parameter."""
    for case in _cases():
        gradient = subject.make().gradient(case.batch, _generator())
        if len(gradient) != len(case.update):
            raise Broken(f"{case.name}: {len(gradient)} gradients for {len(case.update)} parameters")
        _same_form(case.name, case.update, dict(zip(case.update, gradient, strict=True)))


def draws_from_its_generator_alone(subject: DefenseSubject) -> None:
    """A generator with the same seed gives the same bytes, whatever the state of the global generator.

    The global random generator is left as it was.
    """
    for case in _cases():
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(1)
            before = torch.random.get_rng_state()
            first = _sent(subject.make(), case)
            if not torch.equal(torch.random.get_rng_state(), before):
                raise Broken(f"{case.name}: it draws from the global random generator")
            torch.manual_seed(2)
            second = _sent(subject.make(), case)
        for name, value in first.items():
            if not torch.equal(value, second[name]):
                raise Broken(f"{case.name}: '{name}' has other bytes the second time")


def takes_part_in_every_round(subject: DefenseSubject) -> None:
    """The update is finite in every kind of round.

    These are one client that sends a gradient, one that trains locally, and several clients.
    """
    clients = (ClientSettings(), ClientSettings(local=FedAvg(2, 1, 0.05)), ClientSettings(clients=2))
    for client in clients:
        settings = TaskSettings(batch_size=2, client=client, threat_model=ThreatModel(defense="parameters"))
        task = Task(Photos(VICTIM.image_shape[1]), VICTIM.name, VICTIM.options, settings)
        try:
            task.observe(task.truth(0), subject.make(), model_seed=0, defense_seed=0)
        except TaskError as error:
            raise Broken(f"{client}: the server gets an update that says nothing: {error}") from error


def can_be_imitated(subject: DefenseSubject) -> None:
    """The imitation keeps shapes, leaves the candidate as it is, and has a derivative that is not zero.

    The derivative is finite, and the noise level is a finite number of at least 0. This is checked with
    granted parameters and without.
    """
    for case in _cases():
        defense = subject.make()
        observed = defense.apply(case.update, case.batch, _generator())
        for granted in (None, asdict(defense)):
            where = f"{case.name}, parameters {'unknown' if granted is None else 'granted'}"
            imitation = type(defense).imitation(observed, granted)
            _imitates(where, imitation, case)
            level = torch.as_tensor(imitation.noise_std)
            if not (bool(level.isfinite()) and float(level) >= 0):
                raise Broken(f"{where}: noise_std is {float(level)}")


def names_the_device_of_every_tensor_that_it_makes(subject: DefenseSubject) -> None:
    """The gradient and the sent update are computed only with tensors on an explicitly named device."""
    for case in _cases():
        defense = subject.make()
        with DevicesNamed():
            defense.gradient(case.batch, _generator())
            defense.apply(case.update, case.batch, _generator())


CHECKS: tuple[Callable[[DefenseSubject], None], ...] = (
    is_a_frozen_value,
    leaves_what_it_is_given_as_it_is,
    sends_an_update_of_the_same_form,
    computes_a_gradient_of_the_same_form,
    draws_from_its_generator_alone,
    names_the_device_of_every_tensor_that_it_makes,
    takes_part_in_every_round,
    can_be_imitated,
)


def _cases() -> Iterator[DefenseCase]:
    photos = Photos(VICTIM.image_shape[1])
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in (photos.mean, photos.std))
    for images in (1, 3):
        inputs = torch.stack([(photos.image(index) - mean) / std for index in range(images)])
        batch = PrivateBatch(VICTIM.build(), inputs, torch.arange(images))
        names = [name for name, _ in batch.model.named_parameters()]
        gradient = dict(zip(names, loss_gradient(batch.model, inputs, batch.labels), strict=True))
        difference = {name: -0.01 * value for name, value in gradient.items()}
        yield DefenseCase(f"the gradient of {images} images", batch, gradient)
        yield DefenseCase(f"the parameter difference of {images} images", batch, difference)


def _generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def _sent(defense: Defense, case: DefenseCase) -> dict[str, Tensor]:
    """What is sent for the case's update, and the gradient of a step, with the numbers of one generator."""
    generator = _generator()
    steps = enumerate(defense.gradient(case.batch, generator))
    sent = defense.apply(case.update, case.batch, generator)
    return {**sent, **{f"gradient {index}": value for index, value in steps}}


def _same_form(where: str, clean: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> None:
    for name, value in clean.items():
        sent = found[name]
        if sent.shape != value.shape or sent.dtype != value.dtype:
            expected = f"{tuple(value.shape)} {value.dtype}"
            raise Broken(f"{where}: '{name}' is {tuple(sent.shape)} {sent.dtype}, not {expected}")
        if sent.requires_grad:
            raise Broken(f"{where}: '{name}' has a graph")
        if not bool(sent.isfinite().all()):
            raise Broken(f"{where}: '{name}' is not finite")


def _imitates(
    where: str, imitation: Callable[[tuple[Tensor, ...]], tuple[Tensor, ...]], case: DefenseCase
) -> None:
    candidate = tuple((2 * value).requires_grad_() for value in case.update.values())
    before = [value.detach().clone() for value in candidate]
    imitated = imitation(candidate)
    if [value.shape for value in imitated] != [value.shape for value in candidate]:
        raise Broken(f"{where}: the imitation has other shapes than the candidate")
    energy = torch.stack([value.square().sum() for value in imitated]).sum()
    try:
        slopes = torch.autograd.grad(energy, candidate)
    except RuntimeError as error:
        raise Broken(f"{where}: the imitation is not differentiable: {one_line(error)}") from error
    if not all(bool(slope.isfinite().all()) for slope in slopes):
        raise Broken(f"{where}: the derivative of the imitation is not finite")
    if not any(bool(slope.any()) for slope in slopes):
        raise Broken(f"{where}: the derivative of the imitation is zero")
    if not all(torch.equal(value, old) for value, old in zip(candidate, before, strict=True)):
        raise Broken(f"{where}: the imitation changes the candidate in place")
