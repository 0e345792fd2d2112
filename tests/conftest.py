"""Small stand-ins: a generator with random weights, an observation of a real photograph."""

from __future__ import annotations

import pytest
import torch
from hypothesis import settings

from gifd_bench.priors.generators.resnet import ResNetGenerator, ResNetPrior
from gifd_bench.tasks.observation import Observation
from gifd_bench.tasks.truth import Truth
from tests.priors.small import make_tiny_generator
from tests.rounds import make_round

torch.set_num_threads(1)
# An example that takes long on a busy machine is no failure.
settings.register_profile("gifd-bench")
settings.load_profile("gifd-bench")


@pytest.fixture
def tiny_generator() -> ResNetGenerator:
    return make_tiny_generator()


@pytest.fixture
def tiny_prior(tiny_generator: ResNetGenerator) -> ResNetPrior:
    return ResNetPrior(tiny_generator)


@pytest.fixture
def one_round() -> tuple[Observation, Truth]:
    """What a client sent of one photograph without a defense, and the photograph."""
    return make_round()


@pytest.fixture
def observation(one_round: tuple[Observation, Truth]) -> Observation:
    return one_round[0]


@pytest.fixture
def truth(one_round: tuple[Observation, Truth]) -> Truth:
    return one_round[1]
