"""What is said of an attack and of a track, line by line."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from gifd_bench.benchmark.matrix.component import Component
from gifd_bench.benchmark.matrix.round import Round
from gifd_bench.leaderboard.protocol import Protocol
from gifd_bench.leaderboard.submission.schema import About, Use


@dataclass(frozen=True)
class Fact:
    """A name and what there is to say.

    Attributes:
        links: whether the text is a web address.
    """

    name: str
    text: str
    links: bool = False


def facts_of(about: About) -> list[Fact]:
    """What the authors say, but for what they call it."""
    prior = about.prior
    return [
        Fact("authors", ", ".join(about.authors)),
        Fact("description", about.description),
        Fact("paper", about.paper or "none", about.paper is not None),
        Fact("code", about.code or "none", about.code is not None),
        Fact("licence", about.licence),
        Fact("threat model", about.threat_model),
        Fact("prior", prior.name if prior else "none"),
        *([Fact("prior trained on", prior.training_data)] if prior else []),
        Fact("hardware", about.hardware),
    ]


def differences(facts: Sequence[Fact], others: Sequence[Fact]) -> list[Fact]:
    """The facts that are not among others."""
    return [fact for fact in facts if fact not in others]


def rerun_of(use: Use) -> str:
    """A component and its options, in one line."""
    return f"{use.use} {json.dumps(use.options, ensure_ascii=False)}" if use.options else use.use


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
