"""`gifd-bench leaderboard attack`: attack every observation of a set."""

from __future__ import annotations

import argparse
from pathlib import Path

from gifd_bench.benchmark.auditing.auditor import Auditor
from gifd_bench.benchmark.commands.progress import ProgressDisplay
from gifd_bench.benchmark.commands.terminal import Terminal
from gifd_bench.benchmark.invert import InversionInterrupted
from gifd_bench.benchmark.runner import StopRequest
from gifd_bench.common.errors import ExitStatus
from gifd_bench.leaderboard.challenge import ChallengeFolder, run_challenge
from gifd_bench.leaderboard.observation_set import ObservationSet

EPILOG = """options of the attack and of the prior follow, for example
  gifd-bench leaderboard attack photos-v1 --attack gifd --prior cifar10 --output gifd --attack.restarts=2"""


def parser() -> argparse.ArgumentParser:
    """The command line."""
    command = argparse.ArgumentParser(
        prog="gifd-bench leaderboard attack",
        description="Attack every observation of a set that `export` wrote. Run again, it goes on where it "
        "stopped. `submit` then makes a submission of the folder.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    command.add_argument("observations", type=Path, help="folder of the exported observations")
    command.add_argument("--attack", required=True, help="a registered name, or my_attack.py:MyAttack")
    command.add_argument("--prior", help="see `gifd-bench priors`; for attacks that need one")
    command.add_argument("--output", type=Path, required=True, help="folder of the answers")
    command.add_argument("--seed", type=int, default=0)
    return command


def run(arguments: list[str]) -> int:
    """Run the command; the exit status is 130 after an interruption."""
    options, overrides = parser().parse_known_args(arguments)
    observations = ObservationSet(options.observations)
    auditor = Auditor.from_options(options.attack, options.prior, overrides)
    folder = ChallengeFolder(options.output)
    console = Terminal()
    names = observations.index.observations
    done = sum(folder.answer(name).result.is_file() for name in names)
    with StopRequest() as stop, ProgressDisplay(console, len(names), done) as display:
        try:
            run_challenge(observations, auditor, options.seed, folder, display, stop)
        except (InversionInterrupted, KeyboardInterrupt):
            console.print(f"interrupted; the same command continues from {folder.path}", markup=False)
            return ExitStatus.INTERRUPTED
    console.print(f"{len(names)} observations attacked: {folder.path}", markup=False, soft_wrap=True)
    return 0
