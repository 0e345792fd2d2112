"""What an evaluation of a target costs in a pack. Run: `python -m tests.speed.packs`.

IG on ResNet-18 with bundled photographs of 32x32 pixels, one thread: a pack of many targets against one
target by double backward and one by the factored path. All take turns, ratios are of one turn, and the
medians are given; time is that of the processor. What an inversion needs to begin is not counted.
`--defense sparsification` is of updates under a defense whose kind is known.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Sequence

import torch

from gifd_bench.benchmark.attacks.ig import IG
from gifd_bench.benchmark.invert import invert_all
from gifd_bench.benchmark.speed import _Watch
from gifd_bench.tasks.datasets.photos import Photos
from gifd_bench.tasks.defenses.registry import DEFENSES
from gifd_bench.tasks.observation import Observation
from gifd_bench.tasks.settings import TaskSettings
from gifd_bench.tasks.task import Task
from gifd_bench.tasks.threat_model import ThreatModel
from tests.speed.restarts import double_backward, say


def observations(count: int, defense: str) -> list[Observation]:
    """Of so many targets; there are ten photographs, which come again."""
    threat_model = ThreatModel(labels="known", defense="kind")
    task = Task(Photos(32), "torchvision", {}, TaskSettings(threat_model=threat_model))
    return [task.observe(task.truth(i % 10), DEFENSES.make(defense, {}), 0, i) for i in range(count)]


def seconds(seen: Sequence[Observation], iterations: int) -> float:
    """Of an evaluation of one target."""
    attack = IG(iterations=iterations)
    watch = _Watch(attack, torch.device("cpu"))
    invert_all(attack, seen, None, range(len(seen)), callbacks=[watch], accelerator="cpu")
    return watch.seconds()["pixels"] / len(seen)


def main() -> None:
    """Measure what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--targets", type=int, default=16)
    parser.add_argument("--defense", default="none")
    parser.add_argument("--iterations", type=int, default=20)
    parser.add_argument("--turns", type=int, default=5)
    given = parser.parse_args()
    seen = observations(given.targets, given.defense)
    rows: list[tuple[float, float, float]] = []
    for _ in range(given.turns):
        with double_backward():
            general = seconds(seen[:1], given.iterations)
        rows.append((general, seconds(seen[:1], given.iterations), seconds(seen, given.iterations)))
        say("turn: " + ", ".join(f"{1000 * took:.1f} ms" for took in rows[-1]))
    for label, column in (("double backward", 0), ("factored", 1), (f"{given.targets} packed", 2)):
        took = statistics.median(row[column] for row in rows)
        times = statistics.median(row[0] / row[column] for row in rows)
        say(f"| {label} | {1000 * took:.1f} ms | {times:.2f} |")


if __name__ == "__main__":
    main()
