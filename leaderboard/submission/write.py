"""Writing a submission of a run, by the rules by which any submission is read."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError
from torch import Tensor

from gifd_bench.benchmark.attacks.registry import ATTACKS
from gifd_bench.benchmark.matrix.component import Component
from gifd_bench.common.files import make_folder, write_json, write_tensors, write_text
from gifd_bench.leaderboard.errors import LeaderboardError
from gifd_bench.leaderboard.matching import UpdateDistance
from gifd_bench.leaderboard.observation_set import ObservationSet, checksum
from gifd_bench.leaderboard.submission.attempts import Attempt, Attempts
from gifd_bench.leaderboard.submission.folder import SubmissionFolder
from gifd_bench.leaderboard.submission.schema import (
    FORMAT,
    SOURCE,
    About,
    Rerun,
    Result,
    SubmissionFile,
    Use,
)
from gifd_bench.leaderboard.text import first_error


def write_submission(
    attempts: Attempts, observations: ObservationSet, about: About, output: Path
) -> SubmissionFolder:
    """Write a submission.

    Args:
        attempts: the answers of one attack.
        observations: what it attacked.
        about: what the board says about it.
        output: a folder that does not exist yet.

    Raises:
        LeaderboardError: the folder exists, the file of the attack is missing or has changed since it was
            run, or a submission cannot hold an option.
    """
    if output.exists():
        raise LeaderboardError(f"{output}: is there already; choose another --output")
    source, attack = _own_file(attempts.attack)
    try:
        file = SubmissionFile(
            format=FORMAT,
            protocol=observations.index.protocol,
            about=about,
            rerun=_rerun(attack, attempts) if source or attack.name in ATTACKS.bundled else None,
        )
    except ValidationError as error:
        raise LeaderboardError(f"{output}: cannot be submitted: {first_error(error)}") from error
    make_folder(output.parent)
    # The folder gets its name only when it is whole.
    with tempfile.TemporaryDirectory(dir=output.parent) as partial:
        folder = SubmissionFolder(Path(partial) / "submission")
        make_folder(folder.path / "reconstructions")
        if source is not None:
            shutil.copyfile(source, folder.source)
        results = {
            name: _result(folder, name, attempt, observations) for name, attempt in attempts.by_name.items()
        }
        write_json(folder.path / "results.json", {"results": results})
        text = yaml.safe_dump(file.model_dump(mode="json"), sort_keys=False, allow_unicode=True, width=100)
        write_text(folder.path / "submission.yaml", text)
        folder.path.replace(output)
    return SubmissionFolder(output)


def _result(
    folder: SubmissionFolder, name: str, attempt: Attempt, observations: ObservationSet
) -> Mapping[str, object]:
    path = folder.reconstruction(name)
    tensors: dict[str, Tensor] = {"images": attempt.images, "labels": attempt.labels}
    write_tensors(path, tensors)
    item = observations.index.observations[name]
    distance = UpdateDistance(observations.load(name))
    result = Result(
        sha256=checksum(path),
        observation=item.sha256,
        fingerprint=item.fingerprint,
        gradient_evaluations=attempt.gradient_evaluations,
        matching_loss=distance(attempt.images, attempt.labels),
        seconds=attempt.seconds,
        seed=attempt.seed,
        metrics=dict(attempt.metrics),
    )
    return result.model_dump(mode="json")


def _own_file(attack: Component) -> tuple[Path | None, Component]:
    """The file of an attack that has one, and the component under its name in a submission."""
    path, colon, name = attack.name.rpartition(":")
    if not (colon and path.endswith(".py")):
        return None, attack
    if not Path(path).is_file():
        raise LeaderboardError(f"{path}: the attack's file is not here; submit from where it was run")
    if attack.code is not None and ATTACKS.code(attack.name) != attack.code:
        raise LeaderboardError(
            f"{path}: has changed since it was run; run it again, or submit it as it was"
        )
    return Path(path), Component(attack.kind, f"{SOURCE}:{name}", name.lower(), attack.options)


def _rerun(attack: Component, attempts: Attempts) -> Rerun:
    prior = attempts.prior
    return Rerun(
        attack=_use(attack),
        prior=_use(prior) if prior else None,
        overrides=[
            override.model_copy(update={"set": _plain(override.set)}) for override in attempts.overrides
        ],
    )


def _plain(options: Mapping[str, object]) -> dict[str, Any]:
    """Values converted through JSON; what is not of its types would not be YAML either."""
    found: dict[str, Any] = json.loads(json.dumps(dict(options)))
    return found


def _use(component: Component) -> Use:
    options = _plain(component.options)
    if component.kind == "prior":
        # Weights by the name of their file: where it lies is nobody's business.
        paths = {key: value for key, value in component.arguments().items() if isinstance(value, Path)}
        options |= {key: value.name for key, value in paths.items()}
    label = component.label.rpartition(":")[2]
    return Use(use=component.name, label=label, options=options)
