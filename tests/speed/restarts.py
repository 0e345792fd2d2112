"""What restarts cost, and what they find. Run: `python -m tests.speed.restarts halving` or `... plain`.

`halving`: 8 restarts of IG and of GIFD on the convnet, all kept and halved. `plain`: 4 restarts of GIFD on
ResNet-18, side by side, against one after another with double backward, as in a plain loop. Each attacks
bundled photographs; time is that of the processor, with one thread. What takes turns on an image is
compared on that image.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any
from unittest.mock import patch

from pytorch_lightning import LightningModule
from pytorch_lightning.callbacks import Callback
from torch import Tensor

from gifd_bench.benchmark.attacks.base import Attack
from gifd_bench.benchmark.attacks.registry import ATTACKS
from gifd_bench.benchmark.inversion.factored_matching import FactoredMatching
from gifd_bench.benchmark.invert import invert
from gifd_bench.priors.registry import PRIORS
from gifd_bench.tasks.datasets.photos import Photos
from gifd_bench.tasks.defenses.base import NoDefense
from gifd_bench.tasks.settings import TaskSettings
from gifd_bench.tasks.task import Task
from gifd_bench.tasks.threat_model import ThreatModel


class Found(Callback):
    """How good the best iterate so far is, by the time that it took to find; time that this takes is not
    counted. Which iterate is the best is decided as the attack does it, without the truth."""

    def __init__(self, truth: Tensor, every: int) -> None:
        self.truth, self.every = truth, every
        self.found: list[tuple[float, float]] = []
        self.aside, self._began = 0.0, time.process_time()
        self._best = math.inf, math.nan

    def on_train_batch_end(self, trainer: Any, attack: LightningModule, *args: object) -> None:
        assert isinstance(attack, Attack)
        if attack.progress.iteration % self.every:
            return
        now = time.process_time()
        kept = attack.course.best.kept
        assert kept is not None
        best = int(kept.criterion.argmin())
        self._best = min(self._best, (float(kept.criterion[best]), psnr(kept.images[best], self.truth)))
        self.found.append((now - self._began - self.aside, self._best[1]))
        self.aside += time.process_time() - now


def say(line: str) -> None:
    """Print a line at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def psnr(images: Tensor, truth: Tensor) -> float:
    """Of one image in [0, 1], in decibels."""
    return float(-10 * (images - truth).square().mean().log10())


@contextmanager
def double_backward() -> Iterator[None]:
    """Candidates are judged by their whole gradients, one after another."""
    with patch.object(FactoredMatching, "serves", lambda *_: False):
        yield


@dataclass(frozen=True)
class Way:
    """One way to run the restarts.

    Attributes:
        label: for the table.
        options: of the attack, besides those that all ways share.
        patched: what holds while it runs.
    """

    label: str
    options: dict[str, Any]
    patched: Callable[[], AbstractContextManager[None]] = field(default=nullcontext)


PLAIN = Way("plain loop", {"restarts_at_once": 1}, double_backward)
ALL = Way("side by side", {})
HALVED = Way("halved", {"keep": "halving"})


def measure(
    attack: str, model: str, options: dict[str, Any], ways: Sequence[Way], images: Sequence[int]
) -> None:
    """Print a row for each way."""
    task = Task(Photos(32), model, {}, TaskSettings(threat_model=ThreatModel(labels="known")))
    prior = PRIORS.make("cifar10", {})
    rows: dict[str, list[tuple[float, float, int, list[tuple[float, float]]]]] = {w.label: [] for w in ways}
    for target in images:
        truth = task.truth(target)
        observation = task.observe(truth, NoDefense(), 0, 0)
        for way in ways:
            made = ATTACKS.make(attack, {**options, **way.options})
            found = Found(truth.images, every=10)
            began = time.process_time()
            with way.patched():
                result = invert(
                    made, observation, prior, target, callbacks=[found], accelerator="cpu", threads=1
                )
            took = time.process_time() - began - found.aside
            quality = psnr(result.images, truth.images)
            rows[way.label].append((took, quality, result.gradient_evaluations, found.found))
            say(f"image {target}, {way.label}: {took:.0f} s, {quality:.2f} dB")
    first = rows[ways[0].label]
    wanted = sum(quality for _, quality, _, _ in first) / len(first)
    for label, of_images in rows.items():
        took = sum(seconds for seconds, *_ in of_images)
        mean = sum(quality for _, quality, *_ in of_images) / len(of_images)
        spent = sum(evaluations for *_, evaluations, _ in of_images)
        reached = time_to(wanted, [found for *_, found in of_images])
        said = "not reached" if reached is None else f"{reached:.0f} s"
        say(f"| {attack} | {model} | {label} | {spent} | {took:.0f} s | {mean:.2f} dB | {said} |")


def time_to(wanted: float, found: Sequence[Sequence[tuple[float, float]]]) -> float | None:
    """When the mean over images first is what is wanted, all of them at the same share of their iterations:
    seconds, those of all images together."""
    for looks in zip(*found, strict=True):
        if sum(quality for _, quality in looks) / len(looks) >= wanted:
            return sum(seconds for seconds, _ in looks)
    return None


def main() -> None:
    """Measure what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["halving", "plain"])
    parser.add_argument("--images", type=int, default=3)
    arguments = parser.parse_args()
    images = range(arguments.images)
    if arguments.what == "halving":
        eight: dict[str, Any] = {"restarts": 8}
        measure("ig", "convnet", {**eight, "iterations": 800}, (ALL, HALVED), images)
        measure("gifd", "convnet", {**eight, "iterations": [20, 20, 40, 100, 120]}, (ALL, HALVED), images)
    else:
        four: dict[str, Any] = {"restarts": 4, "iterations": [10, 10, 20, 50, 60]}
        measure("gifd", "torchvision", four, (PLAIN, ALL, HALVED), images)


if __name__ == "__main__":
    main()
