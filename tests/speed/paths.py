"""What an evaluation costs one way and another. Run: `python -m tests.speed.paths ggl`.

`ggl`: a generation of 20 on ResNet-18, factored and by whole gradients in turn.
`number_formats`: evaluations of IG on ResNet-18 in float32, with the victim's weights in the memory format
channels_last, and under autocast to bfloat16, and what images come of the last. In turns, in seconds of the
processor, with one thread.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor

from gifd_bench.benchmark.attacks.registry import ATTACKS
from gifd_bench.benchmark.inversion.judging import Judge
from gifd_bench.benchmark.inversion.matching import Cosine, Euclidean
from gifd_bench.benchmark.inversion.simulation import SimulatedClient
from gifd_bench.benchmark.inversion.stopping import Judgment
from gifd_bench.benchmark.invert import invert
from gifd_bench.tasks.datasets.photos import Photos
from gifd_bench.tasks.defenses.base import NoDefense
from gifd_bench.tasks.settings import TaskSettings
from gifd_bench.tasks.task import Task
from gifd_bench.tasks.threat_model import ThreatModel
from tests.speed.restarts import double_backward, psnr

TURNS = 5
CPU = torch.device("cpu")


def resnet18() -> Task:
    """Bundled photographs and torchvision's ResNet-18 at 32x32."""
    return Task(Photos(32), "torchvision", {}, TaskSettings(threat_model=ThreatModel(labels="known")))


def medians(ways: dict[str, Callable[[], Any]]) -> dict[str, float]:
    """Processor seconds of each way, in turns; the first turn is not counted."""
    took: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(TURNS + 1):
        for name, action in ways.items():
            began = time.process_time()
            action()
            took[name].append(time.process_time() - began)
    return {name: statistics.median(seconds[1:]) for name, seconds in took.items()}


def ggl() -> None:
    """A generation: losses alone, of 20 candidates."""
    task = resnet18()
    truth = task.truth(0)
    observation = task.observe(truth, NoDefense(), 0, 0)
    images, targets = torch.rand(20, 1, 3, 32, 32), truth.labels.expand(20, 1)
    factored = Judge([SimulatedClient(observation, CPU)], Euclidean(), "matching_loss", 20, False)
    with double_backward():
        general = Judge([SimulatedClient(observation, CPU)], Euclidean(), "matching_loss", 20, False)
    with torch.no_grad():
        found = medians({judge.path: partial(judge, images, targets) for judge in (factored, general)})
    for path, seconds in found.items():
        say(f"{path}: {1000 * seconds:.0f} ms a generation, {found['general'] / seconds:.1f} times as fast")


@contextmanager
def bfloat16() -> Iterator[None]:
    """Candidates are judged under autocast."""
    judged = Judge.__call__

    def rounded(judge: Judge, images: Tensor, targets: Tensor) -> Judgment:
        with torch.autocast("cpu", torch.bfloat16):
            return judged(judge, images, targets)

    with patch.object(Judge, "__call__", rounded):
        yield


def number_formats() -> None:
    """Evaluations a second, and PSNR of IG."""
    task = resnet18()
    truth = task.truth(0)
    observation = task.observe(truth, NoDefense(), 0, 0)
    for lanes in (1, 4):
        images, targets = torch.rand(lanes, 1, 3, 32, 32), truth.labels.expand(lanes, 1)
        plain, last = (SimulatedClient(observation, CPU) for _ in range(2))
        last.victim.to(memory_format=torch.channels_last)
        judges = [Judge([client], Cosine(), "matching_loss", lanes, False) for client in (plain, last)]

        def evaluate(judge: Judge, images: Tensor = images, targets: Tensor = targets) -> Tensor:
            moved = images.clone().requires_grad_()
            return torch.autograd.grad(judge(moved, targets).objective.sum(), moved)[0]

        def rounded(judge: Judge = judges[0], evaluate: Callable[[Judge], Tensor] = evaluate) -> Tensor:
            with bfloat16():
                return evaluate(judge)

        ways: dict[str, Callable[[], Tensor]] = {
            "float32": partial(evaluate, judges[0]),
            "channels_last": partial(evaluate, judges[1]),
            "bfloat16": rounded,
        }
        reference = ways["float32"]()
        for name, seconds in medians(ways).items():
            error = float((ways[name]() - reference).norm() / reference.norm())
            speed = f"{lanes / seconds:.1f} evaluations a second"
            say(f"{lanes} lanes, {name}: {speed}, gradient off by {error:.2g}")
    for target in range(3):
        truth = task.truth(target)
        observation = task.observe(truth, NoDefense(), 0, 0)
        for name, under in (("float32", None), ("bfloat16", bfloat16)):
            attack = ATTACKS.make("ig", {"iterations": 200})
            if under is None:
                result = invert(attack, observation, None, 0, accelerator="cpu")
            else:
                with under():
                    result = invert(attack, observation, None, 0, accelerator="cpu")
            say(f"IG, image {target}, {name}: {psnr(result.images, truth.images):.2f} dB")


def say(line: str) -> None:
    """Write a line at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> None:
    """Measure what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    measurements = {"ggl": ggl, "number_formats": number_formats}
    parser.add_argument("what", choices=list(measurements))
    measurements[parser.parse_args().what]()


if __name__ == "__main__":
    main()
