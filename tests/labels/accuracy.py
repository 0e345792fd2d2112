"""How many labels each rule finds, on trained victims. Run: `python -m tests.labels.accuracy`.

Two victims are trained on CIFAR-10's training images, once, and kept in the cache of victims; batches are
of test images, either of distinct labels or of labels at random. A Markdown table is printed: the share of
the labels found, each as often as it occurs, and its mean over the batches.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path

import torch
from torch import Tensor, nn

from gifd_bench.benchmark.inversion.labels.rules import LABEL_RULES
from gifd_bench.common.errors import UserError
from gifd_bench.tasks.client import ClientSettings
from gifd_bench.tasks.datasets.cifar import Cifar10
from gifd_bench.tasks.losses import Loss
from gifd_bench.tasks.models.spec import ModelSpec
from gifd_bench.tasks.observation import Observation
from gifd_bench.tasks.training.cache import trained_victim
from gifd_bench.tasks.training.images import VictimImages, load_images, normalize
from gifd_bench.tasks.training.settings import VictimTraining

VICTIMS = {
    "convnet": (
        ModelSpec("convnet", 10, 32),
        VictimTraining(epochs=4, limit=10_000, learning_rate=0.05),
    ),
    "resnet18": (
        ModelSpec("torchvision", 10, 32, {"architecture": "resnet18"}),
        VictimTraining(epochs=3, limit=10_000),
    ),
}
LOSSES = {
    "cross-entropy": Loss(),
    "summed": Loss(reduction="sum"),
    "class weights": Loss(class_weights=(1, 2, 0.5, 1, 4, 1, 0.25, 1, 2, 1)),
    "smoothing 0.1": Loss(label_smoothing=0.1),
    "binary": Loss("binary_cross_entropy"),
}
SIZES = (4, 8, 16, 32)
REFUSED = "refuses"


def batches(labels: Tensor, size: int, distinct: bool, count: int) -> Iterator[Tensor]:
    """So many draws of the indices (size,) of a batch, always the same."""
    generator = torch.Generator().manual_seed(size)
    for _ in range(count):
        if not distinct:
            yield torch.randint(len(labels), (size,), generator=generator)
            continue
        order = torch.randperm(len(labels), generator=generator)
        firsts = [order[labels[order] == label][0] for label in labels.unique()]
        shuffled = torch.randperm(len(firsts), generator=generator)[:size]
        yield torch.stack(firsts)[shuffled]


def observe(
    victim: nn.Module, spec: ModelSpec, images: VictimImages, chosen: Tensor, loss: Loss
) -> Observation:
    """What a client sends of a batch, captured by plain code."""
    pixels, labels = images[chosen.tolist()]
    value = loss.function()(victim(normalize(pixels, images.mean, images.std)), labels)
    return Observation.from_gradients(
        victim,
        torch.autograd.grad(value, list(victim.parameters())),
        batch_size=len(chosen),
        spec=spec,
        mean=images.mean.flatten(),
        std=images.std.flatten(),
        client=ClientSettings(loss=loss),
    )


def found(rule: str, observation: Observation, truth: Tensor) -> float | None:
    """The share of a batch's labels that a rule finds; `None` where it refuses."""
    try:
        labels = LABEL_RULES.find(rule)(observation)
    except UserError:
        return None
    classes = observation.model.num_classes
    mine, theirs = (torch.bincount(each, minlength=classes) for each in (labels, truth))
    return int(mine.minimum(theirs).sum()) / len(truth)


def mean(values: Sequence[float | None]) -> str:
    known = [value for value in values if value is not None]
    return f"{sum(known) / len(known):.3f}" if known else REFUSED


def rows(options: argparse.Namespace) -> Iterator[list[str]]:
    """The table, row by row."""
    train, test = Cifar10(split="train"), load_images(Cifar10(split="test"), progress=False)
    yield ["victim", "loss", "labels", "batch", *options.rules]
    yield ["---"] * (4 + len(options.rules))
    facts = {"dataset": "cifar10", "split": "train"}
    for name, loss in product(options.victims, options.losses):
        spec, training = VICTIMS[name]
        victim = trained_victim(spec, train, facts, training, 0, options.cache)
        for distinct, size in product((True, False), SIZES):
            if distinct and size > spec.num_classes:
                continue
            scores: dict[str, list[float | None]] = {rule: [] for rule in options.rules}
            for chosen in batches(test.labels, size, distinct, options.batches):
                observation = observe(victim, spec, test, chosen, LOSSES[loss])
                for rule in options.rules:
                    scores[rule].append(found(rule, observation, test.labels[chosen]))
            kind = "distinct" if distinct else "any"
            yield [name, loss, kind, str(size), *(mean(scores[rule]) for rule in options.rules)]


def main() -> None:
    """Train, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--batches", type=int, default=20, help="of each size")
    parser.add_argument("--rules", nargs="+", default=[rule for rule in LABEL_RULES if rule != "idlg"])
    parser.add_argument("--victims", nargs="+", choices=VICTIMS, default=list(VICTIMS))
    parser.add_argument("--losses", nargs="+", choices=LOSSES, default=list(LOSSES))
    parser.add_argument("--cache", type=Path, help="folder of trained victims")
    torch.set_num_threads(1)
    for row in rows(parser.parse_args()):
        sys.stdout.write(f"| {' | '.join(row)} |\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
