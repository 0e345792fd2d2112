"""`gifd-bench observe`: write what the server sees of one round."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from gifd_bench.benchmark.errors import BenchmarkError
from gifd_bench.benchmark.matrix.resolve import Resolver
from gifd_bench.tasks.observation_file import save_observation

EPILOG = """for example
  gifd-bench observe --output it.safetensors --task.dataset.use=folder --task.dataset.root=MY_IMAGES \\
    --task.model.use=torchvision --task.model.architecture=resnet18 --task.batch_size=4 \\
    --defense.use=gaussian_noise --defense.std=0.01
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
    command.add_argument("--output", type=Path, required=True, help="a .safetensors file, not there yet")
    command.add_argument("--target", type=int, default=0, help="which batch of the dataset")
    command.add_argument("--seed", type=int, default=0, help="of random weights and of the defense")
    return command


def run(arguments: list[str]) -> int:
    """Run the command."""
    options, overrides = parser().parse_known_args(arguments)
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
    sys.stdout.write(f"{options.output}\n")
    return 0
