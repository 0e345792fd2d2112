"""Small stand-ins: a generator with random weights, an observation of a real photograph."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from gifd_bench.priors.generators.resnet import Generator, ResNetPrior
from gifd_bench.priors.kinds.resnet import GeneratorConfig
from gifd_bench.tasks.datasets.photos import Photos
from gifd_bench.tasks.defenses.base import NoDefense
from gifd_bench.tasks.observation import Observation
from gifd_bench.tasks.settings import TaskSettings
from gifd_bench.tasks.task import Task
from gifd_bench.tasks.truth import Truth

# One class of the photographs and one that they do not have.
TINY = GeneratorConfig(class_names=("cat", "dog"), latent_size=8, embedding_size=4, channels=(8, 8, 8, 8))

torch.set_num_threads(1)


def make_tiny_generator(seed: int = 0) -> Generator:
    """A generator whose every part matters: random weights, random batch statistics."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        generator = Generator(TINY)
        for name, tensor in generator.state_dict().items():
            if name.endswith("running_mean"):
                tensor.normal_(std=0.2)
            elif name.endswith("running_var"):
                tensor.uniform_(0.5, 1.5)
    return generator.eval()


@pytest.fixture
def tiny_generator() -> Generator:
    return make_tiny_generator()


@pytest.fixture
def tiny_prior(tiny_generator: Generator) -> ResNetPrior:
    return ResNetPrior(tiny_generator)


def make_task(batch_size: int = 1, size: int = 32, **settings: Any) -> Task:
    return Task(Photos(size), "convnet", {"width": 4}, TaskSettings(batch_size=batch_size, **settings))


def make_round(batch_size: int = 1, target: int = 0, **settings: Any) -> tuple[Observation, Truth]:
    task = make_task(batch_size, **settings)
    truth = task.truth(target)
    return task.observe(truth, NoDefense(), model_seed=0, defense_seed=0), truth


@pytest.fixture
def observation() -> Observation:
    return make_round()[0]
