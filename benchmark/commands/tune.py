"""`gifd-bench tune`: find the best options of attacks under a budget, on images that no table uses."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from filelock import FileLock, Timeout
from rich.console import Console
from rich.markup import escape

from gifd_bench.benchmark.commands.durations import duration
from gifd_bench.benchmark.commands.progress import ProgressDisplay
from gifd_bench.benchmark.commands.terminal import Terminal
from gifd_bench.benchmark.errors import BenchmarkError
from gifd_bench.benchmark.matrix.config import Matrix, load_matrix
from gifd_bench.benchmark.matrix.defense import DefenseConfig
from gifd_bench.benchmark.matrix.recipe import recipe_name
from gifd_bench.common.errors import ExitStatus
from gifd_bench.common.extras import TUNE
from gifd_bench.common.files import make_folder, write_text
from gifd_bench.tasks.stated import stated

if TYPE_CHECKING:
    from gifd_bench.benchmark.tuning.study import Tuned

EPILOG = """any field of the configuration can be set here, as with `gifd-bench run`; for example
  gifd-bench tune tuning_resnet18 --trials 24 --evaluations 500 2000 --output runs/tuning

Every attack gets as many trials, images and evaluations as every other. Use images and seeds that no table
uses: the score of tuned options on the images that they were tuned on says nothing. The command may run at
the same time in several processes that share the output folder: each takes the next attack, and the last to
end writes the recipe."""

# How long to wait for a process that only reads the trials of an attack, in seconds.
READING = 60.0


@dataclass(frozen=True)
class Settings:
    """What the command is asked for, besides the matrix.

    Attributes:
        trials: the number of trials of each attack under each defense.
        evaluations: budgets of gradient evaluations; options are tuned under the first one.
        seed: the seed of the sampler.
        output: the folder of the studies and recipes.
        pack: the number of targets that may share an inversion.
    """

    trials: int
    evaluations: tuple[int, ...]
    seed: int
    output: Path
    pack: int = 1

    def __post_init__(self) -> None:
        if self.trials < 1 or min(self.evaluations) < 1 or self.pack < 1:
            raise BenchmarkError("--trials, --evaluations and --pack must be at least 1")


def parser() -> argparse.ArgumentParser:
    """The command line."""
    command = argparse.ArgumentParser(
        prog="gifd-bench tune",
        description="Search the options of every attack of a matrix under each of its defenses, by Optuna, "
        "for the highest mean PSNR under a budget of gradient evaluations, and write a recipe for each "
        "defense. Give the command again to continue where it stopped.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    command.add_argument("config", help="a YAML file, or the name of a bundled one (see `gifd-bench list`)")
    command.add_argument("--output", type=Path, required=True, help="folder of the studies and recipes")
    command.add_argument(
        "--trials", type=int, default=24, metavar="N", help="trials of each attack (default: %(default)s)"
    )
    command.add_argument(
        "--evaluations",
        type=int,
        nargs="+",
        default=[500],
        metavar="N",
        help="gradient evaluations of an inversion; the first number is tuned under, and the recipe says "
        "how the others are spent likewise (default: 500)",
    )
    command.add_argument("--seed", type=int, default=0, help="seed of the sampler (default: 0)")
    command.add_argument(
        "--pack",
        type=int,
        default=1,
        metavar="N",
        help="targets that are attacked in one inversion, which makes each cheaper (default: 1)",
    )
    return command


def run(arguments: list[str]) -> int:
    """Run the command; the exit status is 130 after an interruption."""
    options, overrides = parser().parse_known_args(arguments)
    settings = Settings(
        options.trials, tuple(options.evaluations), options.seed, options.output, options.pack
    )
    TUNE.require("tune")
    matrix = load_matrix(options.config, overrides)
    if len(matrix.tasks) != 1 or len(matrix.priors) > 1:
        raise BenchmarkError("tune: a matrix with one task and at most one prior is needed")
    console = Terminal()
    try:
        skipped = [each for each in matrix.defenses if not _tune(matrix, each, settings, console, 0.0)]
        # The process that had those attacks may have ended before this one, and without the recipe.
        for defense in skipped:
            _tune(matrix, defense, settings, console, READING)
    except KeyboardInterrupt:
        console.print(f"interrupted; the same command continues from {settings.output}", markup=False)
        return ExitStatus.INTERRUPTED
    return ExitStatus.DONE


def _tune(
    matrix: Matrix, defense: DefenseConfig, settings: Settings, console: Console, patience: float
) -> bool:
    """Tune every attack against one defense, and write the recipe.

    It is not written, and False is returned, if another process has an attack for longer than this one has
    patience, in seconds.
    """
    # Imported here, because Optuna and torch take seconds to import.
    from gifd_bench.benchmark.tuning.study import TrialDraw, tune
    from gifd_bench.benchmark.tuning.trials import TunedAttack

    stages = tuple(matrix.priors[0].build().stages) if matrix.priors else ()
    cells = len(matrix.targets) * len(matrix.seeds)
    tuned: dict[str, Tuned] = {}
    budgets: dict[int, dict[str, Any]] = {budget: {} for budget in settings.evaluations}
    # Without those that the matrix excludes under this defense.
    attacked = {cell.attack.label for cell in matrix.cells() if cell.defense.label == defense.label}
    chosen = [attack for attack in matrix.attacks if attack.label in attacked]
    for attack in chosen:
        name, folder = f"{defense.label}, {attack.label}", settings.output / defense.label / attack.label
        make_folder(folder)
        try:
            with (
                FileLock(folder / "lock", timeout=patience),
                ProgressDisplay(console, settings.trials * cells, 0) as display,
            ):
                subject = TunedAttack(
                    matrix,
                    defense,
                    attack,
                    stages if attack.label in matrix.with_prior else (),
                    settings.evaluations[0],
                    folder / "runs",
                    display,
                    settings.pack,
                )
                found = tune(
                    folder / "study.log",
                    name,
                    subject.score,
                    settings.trials,
                    settings.seed,
                )
        except Timeout:
            console.print(f"{name}: another process is doing this", markup=False)
            continue
        tuned[attack.label] = found
        for budget, attacks in budgets.items():
            attacks[attack.name] = dict(subject.drawn(TrialDraw(found.best), budget).options)
        console.print(
            f"{escape(name)}: {found.best.value:.2f} dB on {cells} batches, "
            f"the best of {found.trials} trials ({found.failed} failed), in {duration(found.seconds)}"
        )
    if len(tuned) < len(chosen):
        return False
    if chosen:
        path = settings.output / f"{recipe_name(matrix.tasks[0], defense.label)}.yaml"
        write_text(path, _recipe(matrix, defense, settings, tuned, budgets))
        console.print(f"recipe: {path}", markup=False, soft_wrap=True)
    return True


def _recipe(
    matrix: Matrix,
    defense: DefenseConfig,
    settings: Settings,
    tuned: dict[str, Tuned],
    budgets: dict[int, dict[str, Any]],
) -> str:
    task = matrix.tasks[0]
    weights = task.settings.weights
    provenance = {
        "made by": f"gifd-bench {version('gifd-bench')} tune, Optuna {version('optuna')} (TPE)",
        "task": {
            "dataset": task.dataset.config()["options"],
            "model": {"use": task.model.name, **task.model.options},
            **({} if weights == "random" else {"weights": weights}),
            **({"training": stated(task.settings.training)} if weights == "trained" else {}),
        },
        "defense": defense.label,
        "targets": list(matrix.targets),
        "seeds": list(matrix.seeds),
        "trials of each attack": settings.trials,
        "tuned under": f"{settings.evaluations[0]} gradient evaluations, for the highest mean PSNR",
        "seed of the sampler": settings.seed,
        "attacks": {
            label: {
                "mean psnr on the tuning images": round(float(one.best.value or 0.0), 3),
                "drawn": {name: _short(value) for name, value in one.best.params.items()},
                "trials that failed": one.failed,
                "seconds": round(one.seconds),
            }
            for label, one in tuned.items()
        },
    }
    content = {"provenance": provenance, "budgets": budgets}
    return yaml.safe_dump(content, sort_keys=False, width=100)


def _short(value: Any) -> Any:
    return float(f"{value:.4g}") if isinstance(value, float) else value
