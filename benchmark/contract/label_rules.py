"""What every label rule promises, one function for each promise; its docstring says what it checks."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from gifd_bench.benchmark.contract.devices import DevicesNamed
from gifd_bench.benchmark.contract.subject import Broken, small_task
from gifd_bench.benchmark.inversion.labels.rules import LabelRule
from gifd_bench.common.errors import UserError
from gifd_bench.tasks.defenses.base import NoDefense
from gifd_bench.tasks.observation import Observation
from gifd_bench.tasks.truth import Truth


def gives_a_label_for_each_image(rule: LabelRule) -> None:
    """It gives (B,) int64 labels among the victim's classes, for one image and for three.

    A batch for which the rule is not made is refused in one line.
    """
    for batch_size in (1, 3):
        observation, _ = _play(batch_size)
        labels = _labels(rule, observation)
        if labels is None:
            continue
        if labels.shape != (batch_size,) or labels.dtype != torch.int64:
            raise Broken(f"{labels.dtype} labels of shape {tuple(labels.shape)}, not int64 of {batch_size}")
        classes = observation.model.num_classes
        if int(labels.min()) < 0 or int(labels.max()) >= classes:
            raise Broken(f"labels {labels.tolist()}, which are not from 0 to {classes - 1}")


def is_right_on_one_image_without_a_defense(rule: LabelRule) -> None:
    """The label of a single image is found in a gradient that no defense has changed."""
    for target in range(3):
        observation, true = _play(1, target)
        labels = _labels(rule, observation)
        if labels is not None and not torch.equal(labels, true):
            raise Broken(f"label {labels.tolist()} of an image of class {true.tolist()}")


def gives_the_same_labels_again(rule: LabelRule) -> None:
    """The same observation gives the same labels, whatever the state of the global random generator."""
    observation, _ = _play(3)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        one = _labels(rule, observation)
        torch.manual_seed(2)
        other = _labels(rule, observation)
    if one is not None and (other is None or not torch.equal(one, other)):
        raise Broken("other labels the second time")


def knows_nothing_of_the_order_of_the_batch(rule: LabelRule) -> None:
    """The same images in another order, whose update is the same, give the same labels."""
    one, other = (_labels(rule, _play(3, order=order)[0]) for order in ((0, 1, 2), (2, 0, 1)))
    if one is None and other is None:
        return
    if one is None or other is None or sorted(one.tolist()) != sorted(other.tolist()):
        raise Broken("the same images in another order give other labels")


def leaves_the_observation_as_it_is(rule: LabelRule) -> None:
    """It changes neither a tensor of the update nor the victim."""
    observation, _ = _play(1)
    before = {name: tensor.clone() for name, tensor in observation.update.items()}
    weights = {name: tensor.clone() for name, tensor in observation.victim().state_dict().items()}
    _labels(rule, observation)
    for what, kept, now in (
        ("update", before, observation.update),
        ("victim", weights, observation.victim().state_dict()),
    ):
        for name, tensor in kept.items():
            if not torch.equal(tensor, now[name]):
                raise Broken(f"it changes '{name}' of the {what}")


def names_the_device_of_every_tensor_that_it_makes(rule: LabelRule) -> None:
    """Every tensor is made on an explicitly named device."""
    for batch_size in (1, 3):
        observation, _ = _play(batch_size)
        with DevicesNamed():
            _labels(rule, observation)


CHECKS: tuple[Callable[[LabelRule], None], ...] = (
    gives_a_label_for_each_image,
    is_right_on_one_image_without_a_defense,
    gives_the_same_labels_again,
    knows_nothing_of_the_order_of_the_batch,
    leaves_the_observation_as_it_is,
    names_the_device_of_every_tensor_that_it_makes,
)


def _play(images: int, target: int = 0, order: Sequence[int] | None = None) -> tuple[Observation, Tensor]:
    """An observation of this many photographs in some order, without a defense, and their true labels."""
    task = small_task(batch_size=images)
    truth = task.truth(target)
    shown = list(range(images) if order is None else order)
    batch = Truth(truth.images[shown], truth.labels[shown])
    return task.observe(batch, NoDefense(), model_seed=0, defense_seed=0), batch.labels


def _labels(rule: LabelRule, observation: Observation) -> Tensor | None:
    """The labels that a rule infers; `None` if it refuses, which must be in one line."""
    try:
        return rule(observation)
    except UserError as error:
        if not str(error).strip() or "\n" in str(error):
            raise Broken(f"it refuses a batch with {str(error)!r}, which is not one line") from error
        if observation.batch_size == 1:
            raise Broken(f"it refuses a single image: {error}") from error
        return None
