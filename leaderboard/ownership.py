"""To whom the names on a board belong."""

from __future__ import annotations

from collections.abc import Collection

from gifd_bench.leaderboard.errors import LeaderboardError

# Of a public key: enough for people to tell keys apart.
SHOWN_DIGITS = 16


def check_owner(attack: str, signer: str | None, owners: Collection[str | None], maintainer: bool) -> None:
    """Refuse a version of a name that is somebody else's.

    A name belongs, on all tracks of a board, to the key that signed an entry of it, or else to the board's
    maintainers, who may hand it over to a key.

    Args:
        attack: the name.
        signer: the public key that signed the new version, whose signature was verified; `None` where
            nobody signed.
        owners: who signed each entry of this name that is on the board; empty where it is new.
        maintainer: whether it is a maintainer of the board who accepts it as one of their own.

    Raises:
        LeaderboardError: the name is another's.
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
