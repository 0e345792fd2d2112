"""Facts about an attack and about a track, line by line."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from gifd_bench.benchmark.matrix.component import Component
from gifd_bench.benchmark.matrix.round import Round
from gifd_bench.leaderboard.entries import Entry
from gifd_bench.leaderboard.ownership import SHOWN_DIGITS
from gifd_bench.leaderboard.protocol import Protocol
from gifd_bench.leaderboard.submission.schema import SOURCE, SubmittedOverride, Use


@dataclass(frozen=True)
class Fact:
    """A name and a text.

    Attributes:
        links: whether the text is a web address.
    """

    name: str
    text: str
    links: bool = False


def facts_of(entry: Entry) -> list[Fact]:
    """What the authors say, without the name of the attack."""
    about = entry.about
    prior, owner = about.prior, entry.verification.owner
    return [
        Fact("method by", ", ".join(about.authors)),
        Fact("implemented by", implemented_by(entry)),
        Fact("description", about.description),
        Fact("paper", about.paper or "none", about.paper is not None),
        _code(entry),
        Fact("licence", about.licence),
        Fact("threat model", about.threat_model),
        Fact("prior", prior.name if prior else "none"),
        *([Fact("prior trained on", prior.training_data)] if prior else []),
        Fact("hardware", about.hardware),
        Fact("owner of the name", f"key {owner[:SHOWN_DIGITS]}" if owner else "the board's maintainers"),
    ]


def implemented_by(entry: Entry) -> str:
    """Who wrote the code: as the authors say, or this project for one of its own attacks."""
    said = entry.about.implemented_by
    if said:
        return ", ".join(said)
    return "this project" if _own_attack(entry) else ", ".join(entry.about.authors)


def _code(entry: Entry) -> Fact:
    own = _own_attack(entry)
    if own is not None:
        return Fact("code", f"gifd-bench list {own}")
    return Fact("code", entry.about.code or "none", entry.about.code is not None)


def _own_attack(entry: Entry) -> str | None:
    """The name of this project's attack that made an entry; `None` for the code of others."""
    rerun = entry.submission.file.rerun
    return None if rerun is None or rerun.attack.use.startswith(SOURCE) else rerun.attack.use


def differences(facts: Sequence[Fact], others: Sequence[Fact]) -> list[Fact]:
    """The facts that are not among others."""
    return [fact for fact in facts if fact not in others]


def rerun_of(use: Use) -> str:
    """A component and its options, in one line."""
    return f"{use.use} {json.dumps(use.options, ensure_ascii=False)}" if use.options else use.use


def override_of(override: SubmittedOverride) -> str:
    """Where options differ, and what they are there, in one line."""
    labels = [*(override.when.tasks or ()), *(override.when.defenses or ())]
    return f"{', '.join(labels)}: {json.dumps(override.set, ensure_ascii=False)}"


def setting_of(protocol: Protocol) -> list[Fact]:
    """What is attacked: each task and defense with its options."""
    rounds = protocol.rounds.values()
    tasks = {one.task.label: _task(one) for one in rounds}
    defenses = {
        one.defense.label: " then ".join(_component(part) for part in one.defense.parts) for one in rounds
    }
    return [
        *(Fact(f"task {label}", text) for label, text in tasks.items()),
        *(Fact(f"defense {label}", text) for label, text in defenses.items()),
    ]


def _task(one: Round) -> str:
    settings = one.task.settings
    granted = ", ".join(
        f"{name.replace('_', ' ')} {value}" for name, value in asdict(settings.threat_model).items()
    )
    images = f"{settings.images} image{'s' if settings.images > 1 else ''} an update"
    return f"{_component(one.task.dataset)}; {_component(one.task.model)}; {images}; granted: {granted}"


def _component(component: Component) -> str:
    options = ", ".join(f"{name} {value}" for name, value in component.options.items() if value is not None)
    return f"{component.name} ({options})" if options else component.name
