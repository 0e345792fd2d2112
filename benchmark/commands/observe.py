"""`gifd-bench observe`: write what the server sees of one round."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from gifd_bench.benchmark.errors import BenchmarkError
from gifd_bench.benchmark.matrix.resolve import Resolver
from gifd_bench.benchmark.self_check import check_observation
from gifd_bench.common.errors import ExitStatus
from gifd_bench.common.terminal import write
from gifd_bench.tasks.observation_file import load_observation, save_observation

EPILOG = """for example
  gifd-bench observe --output it.safetensors --task.dataset.use=folder --task.dataset.root=MY_IMAGES \\
    --task.model.use=torchvision --task.model.architecture=resnet18 --task.batch_size=4 \\
    --defense.use=gaussian_noise --defense.std=0.01
Compare an observation that is there with the private batch that it was computed on:
  gifd-bench observe --check it.safetensors --task.dataset.use=folder --task.dataset.root=MY_IMAGES
A model of your own: --task.model.use=my_net.py:Net
                     --task.weights=file --task.weights_file=it.safetensors"""


def parser() -> argparse.ArgumentParser:
    """The command line."""
    command = argparse.ArgumentParser(
        prog="gifd-bench observe",
        description="Run one round of a client and write the observation: the update that it sends, and "
        "what else the threat model grants. The images are not in it.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    where = command.add_mutually_exclusive_group(required=True)
    where.add_argument("--output", type=Path, help="a .safetensors file, not there yet")
    where.add_argument(
        "--check",
        type=Path,
        metavar="FILE",
        help="write nothing: say whether the client that this observation describes would have sent its "
        "update for the task's images, and if not, why; the exit status is then 1",
    )
    command.add_argument(
        "--import",
        dest="imports",
        action="append",
        default=[],
        metavar="NAME",
        help="a model, loss or defense of your own that the checked observation may import",
    )
    command.add_argument("--target", type=int, default=0, help="which batch of the dataset")
    command.add_argument("--seed", type=int, default=0, help="seed of random weights and of the defense")
    return command


def run(arguments: list[str]) -> int:
    """Run the command."""
    options, overrides = parser().parse_known_args(arguments)
    if options.check is not None:
        return _check(options, overrides)
    if options.output.suffix != ".safetensors" or not options.output.parent.is_dir():
        raise BenchmarkError(f"{options.output}: a .safetensors file in a folder that exists is expected")
    if options.output.exists():
        raise BenchmarkError(f"{options.output}: exists; it is not written over")
    resolver = Resolver(overrides)
    resolver.declare_task("task", "photos", None)
    resolver.declare_defense("defense", "none", None)
    resolver.parse()
    task = resolver.task("task", "task").build()
    defense = resolver.defense("defense", "defense").build()
    observation = task.observe(task.truth(options.target), defense, options.seed, options.seed)
    save_observation(observation, options.output)
    write(str(options.output))
    return 0


def _check(options: argparse.Namespace, overrides: list[str]) -> int:
    observation = load_observation(options.check, options.imports)
    resolver = Resolver(overrides)
    resolver.declare_task("task", "photos", None)
    resolver.parse()
    config = resolver.task("task", "task")
    clients = observation.client.clients if observation.client else 1
    settings = replace(
        config.settings,
        batch_size=observation.batch_size // clients,
        client=replace(config.settings.client, clients=clients),
    )
    truth = replace(config, settings=settings).build().truth(options.target)
    found = check_observation(observation, truth.images, truth.labels)
    lines = [
        f"{options.check}: {'as described' if found.agrees else found.cause}: {found.explanation}",
        f"cosine {found.cosine:.6f}, scale {found.scale:.6g}",
    ]
    if not found.agrees:
        lines += [
            f"  {layer.name}: cosine {layer.cosine:.6f}, scale {layer.scale:.6g}" for layer in found.layers
        ]
    write("\n".join(lines))
    return ExitStatus.DONE if found.agrees else ExitStatus.FAILED
