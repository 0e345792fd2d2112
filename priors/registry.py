"""Generative priors behind one staged interface, their training and the bundled weights."""

from __future__ import annotations

from collections.abc import Callable

from gifd_bench.priors.base import Prior
from gifd_bench.priors.bundled import cifar10, from_file
from gifd_bench.priors.generators.untrained import UntrainedPrior
from gifd_bench.priors.published import biggan, dcgan, stylegan2

PRIORS: dict[str, Callable[..., Prior]] = {
    "biggan": biggan,
    "cifar10": cifar10,
    "dcgan": dcgan,
    "generator_file": from_file,
    "stylegan2": stylegan2,
    "untrained": UntrainedPrior,
}
