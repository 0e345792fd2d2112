"""What a Slurm job does before and around Python, in the shell.

Python needs seconds before it can handle a signal, and until then a signal would end it: Slurm would see a
job that has failed, and would not queue it again.
"""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

# Where a job leaves a file when Python has come to its cells.
BEGUN = "GIFD_BENCH_JOB_BEGUN"
# How often a job that dies before it reaches its cells is queued again, preemptions included.
MOST_STARTS = 10
# Slurm's notices. They are ignored from the first instruction, and then held back, so that Python gets them
# when it can answer; where `env` cannot do that, they stay ignored until then.
_HELD = """trap "" USR1 USR2
if env --block-signal=USR1,USR2 true 2>/dev/null; then exec env --block-signal=USR1,USR2 "$@"; fi
exec "$@\""""


def python_command() -> str:
    """The command line of Python, for a step of the job."""
    return f"sh -c {shlex.quote(_HELD)} sh {shlex.quote(sys.executable)}"


def preparation(logs: Path) -> list[str]:
    """Lines of the batch script that queue the job again if it dies before it has reached its cells.

    Args:
        logs: the folder of the jobs' files.
    """
    folder = shlex.quote(str(logs.resolve()))
    again = (
        f'code=$?; if [ $code -ne 0 ] && [ ! -e "${BEGUN}" ] && '
        f'[ "${{SLURM_RESTART_COUNT:-0}}" -lt {MOST_STARTS} ] && '
        'scontrol show job -o "$SLURM_JOB_ID" | grep -q " JobState=RUNNING "; '
        f'then scontrol requeue "$SLURM_JOB_ID"; fi; rm -f "${BEGUN}"'
    )
    return [
        f'export {BEGUN}={folder}/"$SLURM_JOB_ID".begun',
        f'rm -f "${BEGUN}"',
        f"trap {shlex.quote(again)} EXIT",
        # Somebody has canceled the job, so it must not be queued again.
        f"trap {shlex.quote('trap - EXIT; exit 143')} TERM",
    ]
