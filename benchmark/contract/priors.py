"""What every prior promises, one function for each promise; its docstring says what it checks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor
from torch.nn import functional as F

from gifd_bench.benchmark.contract.devices import DevicesNamed
from gifd_bench.benchmark.contract.subject import Broken
from gifd_bench.priors.base import LATENTS, UNKNOWN_CLASS, Prior, State

# Two ways of computing the same image, which is in [0, 1], may differ by this much.
TOLERANCE = 1e-5


@dataclass(frozen=True)
class PriorSubject:
    """A prior under test.

    Attributes:
        make: a new instance of it.
    """

    make: Callable[[], Prior]


def has_the_stages_that_it_names(subject: PriorSubject) -> None:
    """`advance` goes through as many stages as `stages` names, and something is searched at each."""
    prior = subject.make()
    for number, state in enumerate(_states(prior)):
        if state.stage != number:
            raise Broken(
                f"{len(prior.stages)} stages are named, but stage {number} is a state of {state.stage}"
            )
        if not state.searched:
            raise Broken(f"stage {prior.stages[number]}: nothing is searched")


def renders_images_in_range_and_of_its_size(subject: PriorSubject) -> None:
    """At every stage, images are (B, 3, image_size, image_size) float32 in [0, 1]."""
    prior = subject.make()
    expected = (2, 3, prior.image_size, prior.image_size)
    for state in _states(prior):
        images, stage = prior.render(state), prior.stages[state.stage]
        if tuple(images.shape) != expected or images.dtype != torch.float32:
            found = f"{tuple(images.shape)} of {images.dtype}"
            raise Broken(f"stage {stage}: images of shape {found}, not {expected} of torch.float32")
        low, high = float(images.min()), float(images.max())
        if not 0 <= low <= high <= 1:
            raise Broken(f"stage {stage}: images are in [{low:.3g}, {high:.3g}], not in [0, 1]")


def reaches_another_size_by_area_pooling(subject: PriorSubject) -> None:
    """At half the size, each pixel is the mean of the pixels that it covers."""
    prior = subject.make()
    half = prior.image_size // 2
    if prior.image_size % 2:
        return
    state = _start(prior)
    _same("at half its size", prior.render(state, half), F.avg_pool2d(prior.render(state), 2))


def renders_on_without_a_jump(subject: PriorSubject) -> None:
    """Rendering gives the same image before and after `advance`, even after a search at the stage."""
    prior = subject.make()
    for before, after in pairwise(_states(prior)):
        _same(f"after stage {prior.stages[before.stage]}", prior.render(before), prior.render(after))
    generator, state = torch.Generator().manual_seed(1), _start(prior)
    for name in prior.stages[:-1]:
        moved = {
            key: state.tensors[key] + 0.1 * torch.randn(state.tensors[key].shape, generator=generator)
            for key in state.searched
        }
        state = State(state.stage, {**state.tensors, **moved}, state.searched)
        advanced = prior.advance(state)
        _same(f"after stage {name} was searched", prior.render(state), prior.render(advanced))
        state = advanced


def draws_from_the_generator_alone(subject: PriorSubject) -> None:
    """The same seed gives the same bytes, whatever the global generator; another seed gives others."""
    prior = subject.make()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        one = _start(prior)
        torch.manual_seed(2)
        other = _start(prior)
    for name, tensor in one.tensors.items():
        if not torch.equal(tensor, other.tensors[name]):
            raise Broken(f"'{name}' is another with the same seed")
    other = _start(prior, seed=1)
    if all(torch.equal(tensor, other.tensors[name]) for name, tensor in one.tensors.items()):
        raise Broken("another seed gives the same state")


def renders_a_batch_as_its_images_one_by_one(subject: PriorSubject) -> None:
    """No image depends on the other images of its batch."""
    prior = subject.make()
    for state in _states(prior):
        batch = prior.render(state)
        for index in range(len(batch)):
            rows = {name: tensor[index : index + 1] for name, tensor in state.tensors.items()}
            alone = prior.render(State(state.stage, rows, state.searched))
            _same(f"alone, at stage {prior.stages[state.stage]}", batch[index : index + 1], alone)


def lets_gradients_reach_what_is_searched(subject: PriorSubject) -> None:
    """Gradients of first and second order reach every searched tensor; they are finite and not zero."""
    prior = subject.make()
    for classes in (_known(prior), torch.full((2,), UNKNOWN_CLASS)):
        for state in _states(prior, classes):
            searched = {name: state.tensors[name].clone().requires_grad_() for name in state.searched}
            images = prior.render(State(state.stage, {**state.tensors, **searched}, state.searched))
            # A loss on a gradient, as every attack has.
            (gradient,) = torch.autograd.grad(images.square().sum(), images, create_graph=True)
            first = _gradients(gradient.square().sum(), searched)
            reached = {name: tensor for name, tensor in first.items() if tensor is not None}
            total = (
                torch.stack([tensor.square().sum() for tensor in reached.values()]).sum()
                if reached
                else None
            )
            second = _gradients(total, searched)
            for order, found in (("first", first), ("second", second)):
                _check_gradients(f"stage {prior.stages[state.stage]}: gradient of {order} order", found)


def keeps_still_what_is_not_searched(subject: PriorSubject) -> None:
    """No weight needs a gradient, and the network is in evaluation mode."""
    prior = subject.make()
    for name, parameter in prior.named_parameters():
        if parameter.requires_grad:
            raise Broken(f"the weight '{name}' needs a gradient; call requires_grad_(False)")
    for name, module in prior.named_modules():
        if module.training:
            raise Broken(f"'{name or 'the prior'}' is in training mode; call eval()")


def shares_no_storage(subject: PriorSubject) -> None:
    """A state's tensors share no storage with one another, with another draw's, or with the weights."""
    prior = subject.make()
    weights = {_storage(tensor) for tensor in prior.state_dict().values()}
    for mine, theirs in zip(_states(prior), _states(prior, seed=1), strict=True):
        seen: dict[int, str] = {}
        others = {_storage(tensor) for tensor in theirs.tensors.values()}
        for name, tensor in mine.tensors.items():
            place = _storage(tensor)
            for shared, whose in (
                (place in seen, f"'{seen.get(place)}'"),
                (place in others, "a state that was drawn apart"),
                (place in weights, "the weights"),
            ):
                if shared:
                    raise Broken(
                        f"stage {prior.stages[mine.stage]}: '{name}' shares its storage with {whose}"
                    )
            seen[place] = name


def takes_known_and_unknown_classes(subject: PriorSubject) -> None:
    """The latent does not depend on the class.

    If a class is unknown, a conditional prior searches more tensors, and the images of the known classes
    stay the same.
    """
    prior = subject.make()
    unknown = _start(prior, torch.full((2,), UNKNOWN_CLASS))
    if not bool(torch.isfinite(prior.render(unknown)).all()):
        raise Broken("an unknown class gives images that are not finite")
    if not prior.class_names:
        return
    known = _start(prior)
    mixed = _start(prior, torch.tensor([0, UNKNOWN_CLASS]))
    for name in LATENTS & known.tensors.keys():
        for other in (unknown, mixed):
            if name not in other.tensors or not torch.equal(known.tensors[name], other.tensors[name]):
                raise Broken(f"'{name}' is another where a class is unknown")
    for other in (unknown, mixed):
        if not set(known.searched) < set(other.searched):
            raise Broken("nothing more is searched where a class is unknown")
    _same("beside an unknown class", prior.render(known)[:1], prior.render(mixed)[:1])
    if len(prior.class_names) > 1:
        swapped = prior.render(_start(prior, _known(prior).flip(0)))
        if torch.equal(swapped, prior.render(known)):
            raise Broken("two classes give the same images")


def names_the_device_of_every_tensor_that_it_makes(subject: PriorSubject) -> None:
    """Drawing, advancing and rendering make tensors only on an explicitly named device."""
    prior = subject.make()
    for classes in (_known(prior), torch.full((2,), UNKNOWN_CLASS)):
        with DevicesNamed():
            state = prior.initial_state(classes, torch.Generator().manual_seed(0))
            prior.render(state)
            for _ in prior.stages[1:]:
                state = prior.advance(state)
                prior.render(state)


CHECKS: tuple[Callable[[PriorSubject], None], ...] = (
    has_the_stages_that_it_names,
    renders_images_in_range_and_of_its_size,
    reaches_another_size_by_area_pooling,
    renders_on_without_a_jump,
    draws_from_the_generator_alone,
    renders_a_batch_as_its_images_one_by_one,
    lets_gradients_reach_what_is_searched,
    keeps_still_what_is_not_searched,
    shares_no_storage,
    takes_known_and_unknown_classes,
    names_the_device_of_every_tensor_that_it_makes,
)


def _known(prior: Prior) -> Tensor:
    """The classes of two images: known ones if the prior has any, and different ones if it has two."""
    if not prior.class_names:
        return torch.full((2,), UNKNOWN_CLASS)
    return torch.tensor([0, min(1, len(prior.class_names) - 1)])


def _start(prior: Prior, classes: Tensor | None = None, seed: int = 0) -> State:
    """A drawn state of two images."""
    classes = _known(prior) if classes is None else classes
    return prior.initial_state(classes, torch.Generator().manual_seed(seed))


def _states(prior: Prior, classes: Tensor | None = None, seed: int = 0) -> Iterator[State]:
    """The state of each stage that the prior names."""
    state = _start(prior, classes, seed)
    yield state
    for _ in prior.stages[1:]:
        state = prior.advance(state)
        yield state


def _same(when: str, one: Tensor, other: Tensor) -> None:
    if one.shape != other.shape:
        raise Broken(f"{when} the images are of shape {tuple(other.shape)}, not {tuple(one.shape)}")
    difference = float((one - other).abs().max())
    if not difference <= TOLERANCE:
        raise Broken(f"{when} the images are others, by up to {difference:.3g}")


def _gradients(loss: Tensor | None, searched: Mapping[str, Tensor]) -> dict[str, Tensor | None]:
    """The gradient of a loss in each searched tensor; `None` if the loss does not depend on it."""
    if loss is None or not loss.requires_grad:
        return dict.fromkeys(searched)
    found = torch.autograd.grad(loss, list(searched.values()), create_graph=True, allow_unused=True)
    return dict(zip(searched, found, strict=True))


def _check_gradients(what: str, gradients: Mapping[str, Tensor | None]) -> None:
    for name, gradient in gradients.items():
        if gradient is None or float(gradient.detach().abs().sum()) == 0:
            raise Broken(f"{what}: none reaches '{name}'")
        if not bool(torch.isfinite(gradient).all()):
            raise Broken(f"{what}: that of '{name}' is not finite")


def _storage(tensor: Tensor) -> int:
    return tensor.untyped_storage().data_ptr()
