"""What every metric promises, one function for each promise; its docstring says what it checks."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

import torch
from torch import Tensor

from gifd_bench.benchmark.contract.devices import DevicesNamed
from gifd_bench.benchmark.contract.subject import Broken, observe
from gifd_bench.benchmark.scoring.base import Metric, MetricMissing
from gifd_bench.tasks.datasets.photos import Photos

SIZE = 32


@dataclass(frozen=True)
class MetricSubject:
    """A metric under test.

    Attributes:
        make: a new instance of it.
    """

    make: Callable[[], Metric]

    def values(self, images: Tensor, truths: Tensor) -> Tensor | None:
        """The values of the metric; `None` if it says that it is not available on this machine."""
        # Outside the block, because the client's update is a gradient.
        observation = observe()
        try:
            with torch.no_grad():
                return self.make()(images, truths, observation)
        except MetricMissing:
            return None


def gives_a_finite_number_for_each_pair(subject: MetricSubject) -> None:
    """It gives (B,) finite numbers, for one pair and for three, even for equal images."""
    for count in (1, 3):
        for images in (_photos(count), _noisy(count)):
            values = subject.values(images, _photos(count))
            if values is None:
                return
            if not isinstance(values, Tensor) or tuple(values.shape) != (count,):
                shape = tuple(values.shape) if isinstance(values, Tensor) else type(values).__name__
                raise Broken(f"{shape} for {count} pairs, not ({count},)")
            if not bool(torch.isfinite(values).all()):
                raise Broken(f"values that are not finite: {values.tolist()}")


def is_best_for_equal_images(subject: MetricSubject) -> None:
    """No images have a better value than the private ones themselves, in the direction that it states."""
    truths = _photos(3)
    equal, worse = subject.values(truths, truths), subject.values(_noisy(3), truths)
    if equal is None or worse is None:
        return
    sign = 1 if subject.make().higher_is_better else -1
    if not bool((sign * equal > sign * worse).all()):
        raise Broken(f"{equal.tolist()} for equal images, and {worse.tolist()} for noisy ones")


def judges_each_pair_by_itself(subject: MetricSubject) -> None:
    """A pair has the same value alone, in a batch, and in another order of the batch."""
    images, truths = _noisy(3), _photos(3)
    together = subject.values(images, truths)
    if together is None:
        return
    order = torch.tensor([2, 0, 1])
    turned = subject.values(images[order], truths[order])
    if turned is None or not torch.allclose(turned, together[order], rtol=1e-4, atol=1e-5):
        raise Broken("a pair has another value in another order of the batch")
    for pair in range(3):
        alone = subject.values(images[pair : pair + 1], truths[pair : pair + 1])
        if alone is None or not torch.allclose(alone, together[pair : pair + 1], rtol=1e-4, atol=1e-5):
            raise Broken("a pair has another value alone")


def gives_the_same_value_again(subject: MetricSubject) -> None:
    """The same pairs give the same values, whatever the state of the global random generator."""
    found = []
    with torch.random.fork_rng(devices=[]):
        for seed in (1, 2):
            torch.manual_seed(seed)
            found.append(subject.values(_noisy(2), _photos(2)))
    one, other = found
    if one is not None and (other is None or not torch.equal(one, other)):
        raise Broken("other values the second time")


def leaves_images_as_they_are(subject: MetricSubject) -> None:
    """It changes neither the reconstructions nor the private images."""
    images, truths = _noisy(2), _photos(2)
    subject.values(images, truths)
    if not (torch.equal(images, _noisy(2)) and torch.equal(truths, _photos(2))):
        raise Broken("it changes the images that it is given")


def has_a_name_and_a_direction(subject: MetricSubject) -> None:
    """`name` is one word, for the column, and `higher_is_better` says which direction is better."""
    metric = subject.make()
    name = getattr(metric, "name", None)
    if not (isinstance(name, str) and name.isidentifier()):
        raise Broken(f"name is {name!r}, not letters, digits and _")
    if not isinstance(getattr(metric, "higher_is_better", None), bool):
        raise Broken("higher_is_better is neither True nor False")


def names_the_device_of_every_tensor_that_it_makes(subject: MetricSubject) -> None:
    """Every tensor is made on an explicitly named device."""
    metric, observation = subject.make(), observe()
    images, truths = _noisy(2), _photos(2)
    with suppress(MetricMissing), torch.no_grad(), DevicesNamed():
        metric(images, truths, observation)


CHECKS: tuple[Callable[[MetricSubject], None], ...] = (
    has_a_name_and_a_direction,
    gives_a_finite_number_for_each_pair,
    is_best_for_equal_images,
    judges_each_pair_by_itself,
    gives_the_same_value_again,
    leaves_images_as_they_are,
    names_the_device_of_every_tensor_that_it_makes,
)


def _photos(count: int) -> Tensor:
    photos = Photos(SIZE)
    return torch.stack([photos.image(index) for index in range(count)])


def _noisy(count: int) -> Tensor:
    noise = torch.randn(count, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(0))
    return (_photos(count) + 0.1 * noise).clamp(0, 1)
