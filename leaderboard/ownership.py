"""The owners of the names on a board."""

from __future__ import annotations

from collections.abc import Collection

from gifd_bench.leaderboard.errors import LeaderboardError

# How many characters of a public key are shown: enough for people to tell keys apart.
SHOWN_DIGITS = 16


def check_owner(attack: str, signer: str | None, owners: Collection[str | None], maintainer: bool) -> None:
    """Refuse a version of a name that belongs to somebody else.

    On all tracks of a board, a name belongs to the key that signed an entry of it, or else to the board's
    maintainers, who may hand it over to a key.

    Args:
        attack: the name.
        signer: the public key that signed the new version, whose signature was verified; `None` if nobody
            signed it.
        owners: who signed each entry of this name on the board; empty if the name is new.
        maintainer: whether a maintainer of the board accepts it as one of their own.

    Raises:
        LeaderboardError: the name belongs to somebody else.
    """
    keys = {owner for owner in owners if owner is not None}
    if not owners or signer in keys:
        return
    if not keys:
        if not maintainer:
            raise LeaderboardError(
                f"{attack}: this name belongs to the maintainers of this board, who alone give it a "
                "new version (accept --maintainer); choose another name"
            )
        return
    how = "it is not signed" if signer is None else f"it is signed by {signer[:SHOWN_DIGITS]}"
    shown = " or ".join(sorted(key[:SHOWN_DIGITS] for key in keys))
    raise LeaderboardError(
        f"{attack}: this name belongs to the key {shown}, and {how}; sign with that key, or choose another "
        "name"
    )
