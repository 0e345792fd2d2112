"""The pages of the board."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from jinja2 import Environment, PackageLoader, StrictUndefined
from plotly.offline import get_plotlyjs  # type: ignore[import-untyped]

from gifd_bench.benchmark.statistics.interval import FEWEST_UNITS, LEVEL
from gifd_bench.leaderboard.board.curves import curve_of
from gifd_bench.leaderboard.board.facts import (
    differences,
    facts_of,
    implemented_by,
    override_of,
    rerun_of,
    setting_of,
)
from gifd_bench.leaderboard.board.folder import ASSETS, ATTACKS, BoardFolder
from gifd_bench.leaderboard.board.ranking import EntryStatus, Track, TrackRow, track_of
from gifd_bench.leaderboard.board.strips import Sprite, Sprites
from gifd_bench.leaderboard.board.tables import attack_table, track_table
from gifd_bench.leaderboard.entries import Entries, EntriesTogether
from gifd_bench.leaderboard.protocol import Protocol
from gifd_bench.tasks.truth import Truth

OWN_ASSETS = ("board.css", "board.js")
PLOTLY = "plotly.min.js"
LEADERS = 3

Truths = Callable[[Protocol], Mapping[str, Truth] | None]


@dataclass(frozen=True)
class DrawnTrack:
    """A track and its pictures.

    Attributes:
        truth: `None` if the private images are not on this machine.
        sprites: the sprite of every entry, by its key.
        places: observation and number of the image in it, for every square of a picture.
    """

    track: Track
    truth: Sprite | None
    sprites: Mapping[str, Sprite]
    places: Sequence[tuple[str, int]]


def write_board(
    entries: Entries | EntriesTogether, protocols: Iterable[Protocol], output: Path, truths: Truths
) -> Path:
    """Write the site; files of an earlier build that have not changed are kept.

    Args:
        entries: the accepted entries.
        protocols: the tracks, in the order of the front page, on which those without entries come last.
        output: a folder of its own.
        truths: returns the private images of a protocol, if they are on this machine, to be shown beside
            the answers.

    Returns:
        The path of the front page.

    Raises:
        LeaderboardError: an entry is damaged, or the folder holds something that is not a board.
    """
    folder = BoardFolder(output)
    tracks = [_drawn(protocol, entries, folder, truths(protocol)) for protocol in protocols]
    environment = _environment()
    _write_assets(folder)
    front = sorted(tracks, key=lambda drawn: not drawn.track.rows)
    folder.write("index.html", environment.get_template("index.html").render(root="", tracks=front))
    for drawn in tracks:
        key = drawn.track.key
        folder.write(f"{key}.json", _json(track_table(drawn.track)))
        folder.write(
            f"{key}.html", environment.get_template("track.html").render(root="", **_context(drawn))
        )
    page = environment.get_template("attack.html")
    for attack, shown in _by_attack(tracks).items():
        name = f"{ATTACKS}/{attack}"
        folder.write(f"{name}.json", _json(attack_table(attack, [(d.track, rows) for d, rows in shown])))
        # What is said of the attack is taken from its newest entry; of the others, what differs.
        newest = max((row for _, rows in shown for row in rows), key=lambda row: row.age).entry
        context = {
            "attack": attack,
            "shown": shown,
            "facts": facts_of(newest),
            "description": newest.about.description,
        }
        folder.write(f"{name}.html", page.render(root="../", **context))
    ranks = environment.get_template("ranks.html")
    folder.write("ranks.html", ranks.render(root="", tracks=front, attacks=_attacks_by_track(tracks)))
    folder.write("submit.html", environment.get_template("submit.html").render(root="", tracks=front))
    folder.remove_stale()
    return output / "index.html"


def _drawn(
    protocol: Protocol,
    entries: Entries | EntriesTogether,
    folder: BoardFolder,
    truths: Mapping[str, Truth] | None,
) -> DrawnTrack:
    track = track_of(protocol, entries.of(protocol.key))
    sprites = Sprites(protocol, folder.path, truths)
    truth = sprites.truth()
    of_entries = {row.entry.key: sprites.of(row.entry) for row in track.rows}
    for sprite in (*of_entries.values(), *([truth] if truth else [])):
        folder.keep(sprite.source)
    return DrawnTrack(track, truth, of_entries, sprites.places)


def _by_attack(tracks: Sequence[DrawnTrack]) -> dict[str, list[tuple[DrawnTrack, list[TrackRow]]]]:
    """The entries of every attack, track by track, the newest first."""
    found: dict[str, list[tuple[DrawnTrack, list[TrackRow]]]] = {}
    for drawn in tracks:
        of_track: dict[str, list[TrackRow]] = {}
        for row in sorted(drawn.track.rows, key=lambda row: row.age, reverse=True):
            of_track.setdefault(row.entry.about.attack, []).append(row)
        for attack, rows in of_track.items():
            found.setdefault(attack, []).append((drawn, rows))
    return found


def _attacks_by_track(tracks: Sequence[DrawnTrack]) -> dict[str, dict[str, TrackRow]]:
    """Of every attack its ranked entry on each track, those first that have a rank on most of them."""
    found: dict[str, dict[str, TrackRow]] = {}
    for drawn in tracks:
        for row in drawn.track.ranked:
            found.setdefault(row.entry.about.attack, {})[drawn.track.key] = row
    return dict(sorted(found.items(), key=lambda pair: (-len(pair[1]), pair[0])))


def _context(drawn: DrawnTrack) -> dict[str, Any]:
    track = drawn.track
    return {
        "drawn": drawn,
        "track": track,
        "file": track.protocol.file,
        "setting": setting_of(track.protocol),
        "filters": _filters(track),
        "points": [_point(row) for row in track.rows],
    }


def _filters(track: Track) -> dict[str, list[str]]:
    """What the tables can be filtered by: everything of which there are at least two."""
    choices = {
        "standing": [row.entry.verification.standing.value for row in track.rows],
        "prior": ["with" if row.entry.about.prior else "without" for row in track.rows],
        "status": [row.status.value for row in track.rows],
    }
    found = {name: sorted(set(values)) for name, values in choices.items()}
    return {name: values for name, values in found.items() if len(values) > 1}


def _point(row: TrackRow) -> dict[str, Any]:
    """An entry in the scatter plots, without free text, because plotly interprets some tags in text."""
    about = row.entry.about
    return {
        "name": about.attack,
        "version": about.version,
        "ranked": row.status is EntryStatus.RANKED,
        "prior": about.prior is not None,
        "verified": row.entry.verification.standing.value == "verified",
        "evaluations": row.gradient_evaluations,
        "metrics": {
            name: [interval.mean, interval.low, interval.high] if interval else None
            for name, interval in row.intervals.items()
        },
        "curves": {name: curve for name in row.intervals if (curve := curve_of(row, name))},
    }


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("gifd_bench.leaderboard.board"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["web_address"] = _web_address
    environment.globals.update(
        differences=differences,
        facts_of=facts_of,
        implemented_by=implemented_by,
        override_of=override_of,
        rerun_of=rerun_of,
        leaders=LEADERS,
        level=f"{LEVEL:.0%}",
        fewest=FEWEST_UNITS,
    )
    return environment


def _web_address(text: str) -> str | None:
    """A web address that may be followed; `None` for anything except http and https."""
    return text if urlsplit(text).scheme in ("http", "https") else None


def _json(value: Any) -> str:
    return json.dumps(value, indent=1, allow_nan=False) + "\n"


def _write_assets(folder: BoardFolder) -> None:
    """The style sheet, the script, and plotly's from its wheel."""
    source = files("gifd_bench.leaderboard.board") / "assets"
    for name in OWN_ASSETS:
        folder.write(f"{ASSETS}/{name}", (source / name).read_text(encoding="utf-8"))
    folder.write(f"{ASSETS}/{PLOTLY}", get_plotlyjs())
