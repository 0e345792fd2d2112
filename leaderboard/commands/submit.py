"""`gifd-bench leaderboard submit`: make a submission from a run."""

from __future__ import annotations

import argparse
from pathlib import Path

from pydantic import ValidationError

from gifd_bench.common.errors import UserError, one_line
from gifd_bench.common.terminal import write
from gifd_bench.leaderboard.errors import LeaderboardError
from gifd_bench.leaderboard.protocol import find_protocol
from gifd_bench.leaderboard.reference import observations_of
from gifd_bench.leaderboard.submission.attempts import attempts_of
from gifd_bench.leaderboard.submission.schema import About
from gifd_bench.leaderboard.submission.signature import read_key, sign
from gifd_bench.leaderboard.submission.write import write_submission
from gifd_bench.leaderboard.submission.yaml_file import parse_yaml
from gifd_bench.leaderboard.text import first_error


def parser() -> argparse.ArgumentParser:
    """The command line."""
    command = argparse.ArgumentParser(
        prog="gifd-bench leaderboard submit",
        description="Make a submission from a run of `gifd-bench leaderboard attack` or `gifd-bench run`. "
        "docs/submitting.md shows what --about says, and how to submit from any other code base.",
        allow_abbrev=False,
    )
    command.add_argument("run", type=Path, help="folder of the run")
    command.add_argument("--protocol", required=True, help="see `gifd-bench leaderboard protocols`")
    command.add_argument("--about", type=Path, required=True, help="YAML: name, version, authors, ...")
    command.add_argument(
        "--output", type=Path, required=True, help="folder of the submission, not there yet"
    )
    command.add_argument("--key", type=Path, help="sign it with this private key; see `key`")
    command.add_argument("--attack", help="which one, if the run has several")
    command.add_argument("--observations", type=Path, help="the exported set; made where it is not given")
    return command


def run(arguments: list[str]) -> int:
    """Run the command."""
    options = parser().parse_args(arguments)
    about, key = _about(options.about), read_key(options.key) if options.key else None
    observations = observations_of(find_protocol(options.protocol), options.observations)
    attempts = attempts_of(options.run, observations, options.attack)
    folder = write_submission(attempts, observations, about, options.output)
    if key is not None:
        sign(folder, key)
    answered, asked = len(attempts.by_name), len(observations.index.observations)
    write(f"{answered} of {asked} observations answered: {folder.path}")
    return 0


def _about(path: Path) -> About:
    try:
        return About.model_validate(parse_yaml(path.read_text(encoding="utf-8"), str(path)))
    except ValidationError as error:
        raise LeaderboardError(f"{path}: {first_error(error)}") from error
    except UserError:
        raise
    except (OSError, ValueError) as error:
        raise LeaderboardError(f"{path}: not a readable file ({one_line(error)})") from error
