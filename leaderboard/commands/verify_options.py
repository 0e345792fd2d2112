"""The common options of `verify` and `accept`."""

from __future__ import annotations

import argparse
from pathlib import Path

from rich.console import Console

from gifd_bench.common.cache import cache_folder
from gifd_bench.leaderboard.protocol import Protocol, find_protocol
from gifd_bench.leaderboard.reference import reference_of
from gifd_bench.leaderboard.rerun.job import RerunLimits
from gifd_bench.leaderboard.submission.folder import SubmissionFolder
from gifd_bench.leaderboard.verification.report import Verification
from gifd_bench.leaderboard.verification.rerun import RerunRequest
from gifd_bench.leaderboard.verification.verify import verify

# The interval of the difference is then about as wide as the differences between images.
TWINS = 8


def add_verify_options(parser: argparse.ArgumentParser, rerun: int | None = 0) -> None:
    """Add options for what is verified, against what, and how many observations are attacked again."""
    parser.add_argument("submission", type=Path, help="its folder")
    parser.add_argument("--observations", type=Path, help="the exported set; made where it is not given")
    parser.add_argument("--truths", type=Path, help="the private images of a blind set")
    add_rerun_options(parser, rerun)


def add_rerun_options(parser: argparse.ArgumentParser, rerun: int | None = 0) -> None:
    """Add options for how many observations are attacked again, and the limits of each attack."""
    parser.add_argument(
        "--rerun",
        type=_count,
        default=rerun,
        metavar="N",
        help="attack N observations again, or `all` of them, which a rank takes "
        f"(default: {'all' if rerun is None else rerun})",
    )
    parser.add_argument(
        "--twins",
        type=int,
        default=TWINS if rerun is None else 0,
        metavar="N",
        help="where all observations are attacked again, also attack N secret ones like them, and say "
        "whether the attack does worse on these (default: %(default)s)",
    )
    add_limits(parser)


def add_limits(parser: argparse.ArgumentParser) -> None:
    """Add options for the limits of each rerun, and how many run at the same time."""
    limits = RerunLimits()
    parser.add_argument("--jobs", type=int, default=1, help="reruns at once")
    parser.add_argument("--seconds", type=float, default=limits.seconds, help="of each rerun")
    parser.add_argument("--memory", type=float, default=limits.memory_gib, help="of each rerun, in GiB")
    parser.add_argument("--weights", type=Path, help="folder with the weights files of priors, for reruns")


def reruns_kept() -> Path:
    """The folder of all reruns, in the user's cache."""
    return cache_folder() / "leaderboard" / "reruns"


def _count(text: str) -> int | None:
    return None if text == "all" else int(text)


def verified(
    submission: SubmissionFolder,
    console: Console,
    options: argparse.Namespace,
    observations: Path | None = None,
    truths: Path | None = None,
) -> tuple[Protocol, Verification]:
    """Verify a submission, with the reruns that the options ask for.

    Args:
        submission: the submission, which is not trusted.
        console: shows the progress.
        options: the options of `add_rerun_options`.
        observations: an exported set of observations, as in `reference_of`.
        truths: the truths of a blind set, as in `reference_of`.

    Raises:
        LeaderboardError: the submission cannot be read, or there is nothing to compare it with.
    """
    protocol = find_protocol(submission.file.protocol)
    reference = reference_of(protocol, observations, truths)
    with console.status("verifying") as status:
        request = RerunRequest(
            count=options.rerun,
            folder=reruns_kept(),
            jobs=options.jobs,
            twins=options.twins,
            limits=RerunLimits(options.seconds, options.memory),
            weights=options.weights,
            progress=lambda name: status.update(f"attacking observation {name} again"),
        )
        return protocol, verify(submission, protocol, reference, request)
