"""Where W&B runs go, and whether they can be sent now."""

from __future__ import annotations

import netrc
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

PROJECT = "gifd-bench"
CLOUD = "https://api.wandb.ai"
OFFLINE_MODES = ("offline", "dryrun", "disabled")
# Where wandb stages and caches files; in the home directory unless set.
HOMES = ("WANDB_DATA_DIR", "WANDB_CACHE_DIR")


def project() -> str:
    """The project of the runs: WANDB_PROJECT, or `PROJECT`."""
    return os.environ.get("WANDB_PROJECT") or PROJECT


def has_login() -> bool:
    """Whether there is a key, in WANDB_API_KEY or in the netrc file that `wandb login` writes."""
    if os.environ.get("WANDB_API_KEY"):
        return True
    server = urlsplit(os.environ.get("WANDB_BASE_URL") or CLOUD).netloc
    names = [os.environ["NETRC"]] if os.environ.get("NETRC") else ["~/.netrc", "~/_netrc"]
    return any(_has_password(Path(name).expanduser(), server) for name in names)


def online() -> bool:
    """Whether runs are sent while they run."""
    return has_login() and os.environ.get("WANDB_MODE") not in OFFLINE_MODES


@contextmanager
def away_from_home(folder: Path) -> Iterator[None]:
    """Let wandb write below `folder` what it would write to the home directory.

    Settings of the user stay.
    """
    ours = {name: str(folder / "wandb-files") for name in HOMES if name not in os.environ}
    os.environ.update(ours)
    try:
        yield
    finally:
        for name in ours:
            os.environ.pop(name, None)


def _has_password(path: Path, server: str) -> bool:
    try:
        found = netrc.netrc(path).authenticators(server)
    except (OSError, netrc.NetrcParseError):
        return False
    return bool(found and found[2])
