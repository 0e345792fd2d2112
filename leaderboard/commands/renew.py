"""`gifd-bench leaderboard renew`: make the project's own entries again."""

from __future__ import annotations

import argparse
import shutil
import time
from pathlib import Path

from filelock import FileLock, Timeout

from gifd_bench.benchmark.commands.terminal import Terminal
from gifd_bench.common.cache import cache_folder
from gifd_bench.common.errors import ExitStatus, UserError
from gifd_bench.common.files import make_folder
from gifd_bench.leaderboard.commands.accept import add_acceptance_options, store
from gifd_bench.leaderboard.commands.entries_option import add_entries_option, entries_to_read
from gifd_bench.leaderboard.commands.verify_options import add_limits, reruns_kept
from gifd_bench.leaderboard.entries import Entries
from gifd_bench.leaderboard.protocol import find_protocol
from gifd_bench.leaderboard.reference import Reference, reference_of
from gifd_bench.leaderboard.renewal import Renewal, make, own_attacks, renewal_of, work_name
from gifd_bench.leaderboard.rerun.job import RerunLimits
from gifd_bench.leaderboard.verification.rerun import RerunRequest
from gifd_bench.leaderboard.verification.verify import verify


def parser() -> argparse.ArgumentParser:
    """The command line."""
    command = argparse.ArgumentParser(
        prog="gifd-bench leaderboard renew",
        description="For maintainers: make new versions of the project's own entries. Every observation is "
        "attacked in the sandbox with seeds that are drawn, with the options of the recipe "
        "tuned-VICTIM-DEFENSE, or of the newest entry where there is no recipe. What has been made so "
        "already is left alone; what was interrupted goes on; several processes may share the work.",
        allow_abbrev=False,
    )
    command.add_argument("--track", nargs="+", default=None, help="protocols (default: all with entries)")
    command.add_argument("--attack", nargs="+", help="names on the board (default: all of the project's)")
    command.add_argument("--recipes", type=Path, help="folder of recipes (default: the bundled ones)")
    add_entries_option(command)
    add_limits(command)
    add_acceptance_options(command)
    command.set_defaults(maintainer=True)
    command.add_argument(
        "--again", action="store_true", help="also make what has been made so already, by today's code"
    )
    command.add_argument("--plan", action="store_true", help="say what would be made, and make nothing")
    return command


def run(arguments: list[str]) -> int:
    """Run the command; the exit status is the worst of `accept` over the entries."""
    options = parser().parse_args(arguments)
    entries, console = entries_to_read(options.entries), Terminal()
    statuses = [0]
    for track in options.track or entries.protocols():
        protocol, reference = find_protocol(track), None
        for attack in options.attack or own_attacks(entries):
            renewal = renewal_of(protocol, attack, entries, options.recipes, not options.again)
            if renewal is None:
                console.print(f"{protocol.key} {attack}: is so already", markup=False)
                continue
            tuned = f"tuned for {len(renewal.tuned)} of {len(_labels(renewal))} tasks and defenses"
            console.print(f"{renewal.title}: {tuned}", markup=False)
            if options.plan:
                continue
            try:
                reference = reference or reference_of(protocol, None, None)
                statuses.append(_renew(renewal, reference, options, entries, console))
            except KeyboardInterrupt:
                console.print("interrupted; the same command continues", markup=False)
                return ExitStatus.INTERRUPTED
            except UserError as error:
                console.print(f"{renewal.title}: {error}", markup=False, soft_wrap=True)
                statuses.append(1)
    return max(statuses)


def _labels(renewal: Renewal) -> set[tuple[str, str]]:
    return {(one.task.label, one.defense.label) for one in renewal.protocol.rounds.values()}


def _renew(
    renewal: Renewal,
    reference: Reference,
    options: argparse.Namespace,
    entries: Entries,
    console: Terminal,
) -> int:
    """Make one entry, and store it; the exit status that `accept` would have."""
    index, work = reference.observations.index, cache_folder() / "leaderboard" / "renewals"
    folder = work / work_name(renewal, index)
    make_folder(work)
    started, begun = time.monotonic(), [0]
    try:
        with FileLock(f"{folder}.lock", timeout=0), console.status(renewal.title) as status:

            def progress(name: str) -> None:
                begun[0] += 1
                status.update(f"{renewal.title}: observation {name}, number {begun[0]} of this run")

            request = RerunRequest(
                count=None,
                folder=reruns_kept(),
                jobs=options.jobs,
                limits=RerunLimits(options.seconds, options.memory),
                weights=options.weights,
                progress=progress,
            )
            submission = make(renewal, reference.observations, request, work)
            verification = verify(submission, renewal.protocol, reference, request)
            status.stop()
            found = store(console, renewal.protocol, submission, verification, index, entries, options)
            if found == 0:
                shutil.rmtree(folder)
    except Timeout:
        console.print(f"{renewal.title}: another process is at it", markup=False)
        return 0
    took = time.monotonic() - started
    console.print(
        f"{renewal.title}: {begun[0]} of {len(index.observations)} observations attacked in {took:.0f} s",
        markup=False,
    )
    return found
