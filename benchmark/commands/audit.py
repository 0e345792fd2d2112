"""`gifd-bench audit`: attack one update with everything available, and say what could be read from it."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from torch import Tensor

from gifd_bench.benchmark.auditing.audit import SECONDS, Audit, AuditReport
from gifd_bench.benchmark.auditing.folder import PortfolioFolder
from gifd_bench.benchmark.auditing.images import (
    bundled_distractors,
    dataset_distractors,
    named_distractors,
    read_images,
    read_labels,
)
from gifd_bench.benchmark.auditing.owner import Owned
from gifd_bench.benchmark.auditing.portfolio import ATTACKS_IN_ORDER, Wanted
from gifd_bench.benchmark.auditing.verdict import FAIL_IF
from gifd_bench.benchmark.commands.progress import ProgressDisplay
from gifd_bench.benchmark.commands.terminal import Terminal
from gifd_bench.benchmark.errors import BenchmarkError
from gifd_bench.benchmark.invert import InversionInterrupted
from gifd_bench.benchmark.matrix.resolve import Resolver
from gifd_bench.benchmark.matrix.task import training_split
from gifd_bench.benchmark.runner import StopRequest
from gifd_bench.common.errors import ExitStatus
from gifd_bench.tasks.observation import Observation
from gifd_bench.tasks.observation_file import load_observation

EPILOG = """from a file, without and with the truth:
  gifd-bench audit it.safetensors --output audit
  gifd-bench audit it.safetensors --output audit --images MY_IMAGE.png --labels 3 --distractors MY_FOLDER
from a model and images, of which a client's update is made (options as of `gifd-bench observe`):
  gifd-bench audit --output audit --task.dataset.use=folder --task.dataset.root=MY_IMAGES \\
    --task.model.use=my_net.py:Net --defense.use=gaussian_noise --defense.std=0.01 --fail-if identified
options of attacks and priors:
  gifd-bench audit it.safetensors --output audit --attacks ig gifd --attacks.ig.total_variation=1e-2"""
_TASK = ("--task.", "--defense.")


def parser() -> argparse.ArgumentParser:
    """The command line."""
    command = argparse.ArgumentParser(
        prog="gifd-bench audit",
        description="Attack one client's update with every attack that the threat model and the "
        "available priors allow, and write one HTML page: a verdict in words, its reasons, and "
        "the pictures. Give the command again to continue where it stopped.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    command.add_argument(
        "observation",
        type=Path,
        nargs="?",
        help="a file, as `gifd-bench observe` or your own code wrote it; without it, --task.* say what to "
        "observe",
    )
    command.add_argument("--output", type=Path, required=True, help="folder of the audit")
    command.add_argument(
        "--seconds", type=float, default=SECONDS, help="time for all attacks together (default: 600)"
    )
    command.add_argument(
        "--images",
        type=Path,
        nargs="+",
        help="the private images, for a verdict: files in their order, a folder, or one tensor file",
    )
    command.add_argument("--labels", nargs="+", help="their labels: numbers or names of classes")
    command.add_argument(
        "--distractors",
        metavar="FOLDER_OR_DATASET",
        help="images of the same kind, from which the private ones are to be told apart (default: the "
        "task's dataset, or crops of bundled photographs)",
    )
    command.add_argument(
        "--fail-if",
        choices=FAIL_IF,
        help="exit with status 1 if an image is identified and looks alike, or only one of the two; also "
        "if nothing can be said, which is not a sign of safety",
    )
    command.add_argument(
        "--attacks",
        nargs="+",
        default=[],
        help=f"from {', '.join(ATTACKS_IN_ORDER)} or your own (default: all)",
    )
    command.add_argument(
        "--priors", nargs="+", default=[], help="names of priors (default: those on this machine)"
    )
    command.add_argument("--seed", type=int, default=0)
    command.add_argument("--target", type=int, default=0, help="which batch of the task's dataset")
    command.add_argument(
        "--import",
        dest="imports",
        action="append",
        default=[],
        metavar="NAME",
        help="a model, loss or defense of your own that the observation file may import",
    )
    return command


@dataclass(frozen=True)
class _Subject:
    """What is audited, and the truth if it is given."""

    observation: Observation
    owned: Owned | None


def run(arguments: list[str]) -> int:
    """Run the command; the exit status is 1 for what `--fail-if` names, and 130 after an interruption."""
    options, overrides = parser().parse_known_args(arguments)
    about_task = [one for one in overrides if one.startswith(_TASK)]
    rest = [one for one in overrides if not one.startswith(_TASK)]
    subject = _subject(options, about_task)
    if options.fail_if is not None and subject.owned is None:
        raise BenchmarkError(
            "--fail-if needs the private images: give --images, or the task that they are of"
        )
    wanted = Wanted.from_names(options.attacks, options.priors, rest)
    console = Terminal()
    title = options.observation.name if options.observation else "Audit of one update"
    folder = PortfolioFolder(options.output)
    work = Audit(subject.observation, folder, wanted, options.seconds, options.seed, title)
    work.prepare()
    with (
        StopRequest() as stop,
        ProgressDisplay(Terminal(stderr=True), work.trials, work.ended) as display,
    ):
        try:
            work.attack(display, stop)
        except (InversionInterrupted, KeyboardInterrupt):
            console.print(f"interrupted; the same command continues from {options.output}", markup=False)
            return ExitStatus.INTERRUPTED
    report = work.report(subject.owned)
    _say(report, console)
    return ExitStatus.FAILED if report.verdict.fails(options.fail_if) else ExitStatus.DONE


def _say(report: AuditReport, console: Console) -> None:
    console.print(report.verdict.headline, markup=False, highlight=False, style="bold")
    for sentence in report.verdict.sentences:
        console.print(sentence, markup=False, highlight=False, soft_wrap=True)
    console.print(f"page: {report.page}", markup=False, highlight=False, soft_wrap=True)


def _subject(options: argparse.Namespace, about_task: list[str]) -> _Subject:
    if options.observation is None and not about_task:
        raise BenchmarkError("give an observation file, or what to observe (--task.dataset.use=...)")
    if options.observation is not None and about_task:
        raise BenchmarkError(
            f"{about_task[0]}: the observation is in {options.observation}; give its images with --images"
        )
    if options.observation is None:
        return _observed(options, about_task)
    observation = load_observation(options.observation, options.imports)
    if options.images is None:
        if options.labels is not None or options.distractors is not None:
            raise BenchmarkError("--labels and --distractors are of the private images: give --images, too")
        return _Subject(observation, None)
    shape = observation.model.image_shape
    labels: Tensor | None = None
    if options.labels is not None:
        labels = read_labels(options.labels, observation.class_names)
    distractors = (
        bundled_distractors(shape)
        if options.distractors is None
        else named_distractors(options.distractors, shape)
    )
    images = read_images(options.images, shape)
    return _Subject(observation, Owned.of(observation, images, labels, distractors))


def _observed(options: argparse.Namespace, about_task: list[str]) -> _Subject:
    """A round that is made here, so that the truth is known."""
    if options.images is not None or options.labels is not None:
        raise BenchmarkError("--images and --labels are for an observation file: a task has its own")
    resolver = Resolver(about_task)
    resolver.declare_task("task", "photos", None)
    resolver.declare_defense("defense", "none", None)
    resolver.parse()
    config = resolver.task("task", "task")
    task = config.build()
    defense = resolver.defense("defense", "defense").build()
    truth = task.truth(options.target)
    observation = task.observe(truth, defense, options.seed, options.seed)
    shape = observation.model.image_shape
    if options.distractors is None:
        dataset = training_split(config.dataset)
        distractors = dataset_distractors(dataset.build(), dataset.label, shape)
    else:
        distractors = named_distractors(options.distractors, shape)
    return _Subject(observation, Owned.of(observation, truth.images, truth.labels, distractors))
