"""What the Lightning loop costs over a bare loop of the same steps. Run: `make speed`.

The victim is torchvision's ResNet-18 at 32x32, the attack IG. The two loops take turns, and the ratio is
taken turn by turn, so that a machine whose speed drifts does not decide the outcome. With
`--victim convnet` the steps are so short that the difference is what the loop itself costs.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time

import torch
from torch.optim import Adam

from gifd_bench.benchmark.attacks.ig import IG
from gifd_bench.benchmark.inversion.matching import Cosine
from gifd_bench.benchmark.inversion.regularizers import total_variation
from gifd_bench.benchmark.inversion.schedules import three_drops
from gifd_bench.benchmark.inversion.simulation import SimulatedClient
from gifd_bench.benchmark.invert import invert
from gifd_bench.tasks.datasets.photos import Photos
from gifd_bench.tasks.defenses.base import NoDefense
from gifd_bench.tasks.observation import Observation
from gifd_bench.tasks.settings import TaskSettings
from gifd_bench.tasks.task import Task
from gifd_bench.tasks.threat_model import ThreatModel

VICTIMS = {"resnet18": ("torchvision", {"architecture": "resnet18"}), "convnet": ("convnet", {})}


def bare_loop(observation: Observation, labels: torch.Tensor, iterations: int) -> float:
    """Seconds of the same iterations with nothing round them."""
    began = time.perf_counter()
    client = SimulatedClient(observation, torch.device("cpu"))
    loss = Cosine()
    loss.prepare(client.observed)
    low, high = (0.0 - 0.5) / 0.25, (1.0 - 0.5) / 0.25
    x = torch.randn(1, 3, 32, 32).clamp_(low, high).requires_grad_()
    adam = Adam([x], lr=0.1)
    schedule = three_drops(adam, iterations)
    for _ in range(iterations):
        adam.zero_grad()
        images = client.denormalise(x)
        objective = loss(client.update(images, labels)) + 1e-4 * total_variation(x)
        torch.autograd.backward(objective, inputs=[x])
        assert x.grad is not None
        x.grad.sign_()
        adam.step()
        schedule.step()
        with torch.no_grad():
            x.clamp_(low, high)
    return time.perf_counter() - began


def lightning_loop(observation: Observation, iterations: int) -> float:
    """Seconds of the attack as a user runs it, from the Trainer's construction to the answer."""
    began = time.perf_counter()
    invert(IG(iterations=iterations), observation, None, 0, accelerator="cpu")
    return time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--victim", choices=tuple(VICTIMS), default="resnet18")
    parser.add_argument("--iterations", type=int, default=100)
    parser.add_argument("--turns", type=int, default=7)
    options = parser.parse_args()
    task = Task(Photos(), *VICTIMS[options.victim], TaskSettings(threat_model=ThreatModel(labels="known")))
    truth = task.truth(0)
    observation = task.observe(truth, NoDefense(), 0, 0)
    lightning_loop(observation, 3)
    bare_loop(observation, truth.labels, 3)
    ratios, costs = [], []
    for _ in range(options.turns):
        bare = bare_loop(observation, truth.labels, options.iterations)
        lightning = lightning_loop(observation, options.iterations)
        milliseconds = [1000 * seconds / options.iterations for seconds in (bare, lightning)]
        ratios.append(lightning / bare)
        costs.append(milliseconds[1] - milliseconds[0])
        sys.stdout.write(
            f"bare {milliseconds[0]:.1f} ms, Lightning {milliseconds[1]:.1f} ms an iteration, "
            f"ratio {ratios[-1]:.3f}\n"
        )
    for name, values in (("ratio", ratios), ("difference in ms", costs)):
        middle = statistics.median(values)
        sys.stdout.write(f"{name}: {min(values):.3f} to {max(values):.3f}, median {middle:.3f}\n")


if __name__ == "__main__":
    main()
