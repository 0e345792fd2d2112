"""What a challenger says about an attack."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Collection
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from gifd_bench.leaderboard.submission.older import as_today
from gifd_bench.leaderboard.text import Address, Date, Line, Short, Slug, Strict, VersionText, unprintable

FORMAT: Literal["gifd-bench/submission/1"] = "gifd-bench/submission/1"
# Where the attack's own file lies in a submission, and what its class is called by.
SOURCE = "attack.py"
MOST_RESULTS = 10_000
MOST_METRICS = 64
# The most characters of a component's options as JSON.
MOST_OPTIONS = 20_000
# More than a track has combinations of tasks and defenses.
MOST_OVERRIDES = 64
Labels = Annotated[list[Short], Field(min_length=1, max_length=64)]


class PriorAbout(Strict):
    """A generative prior, and what it had seen before it was used.

    Attributes:
        training_data: every dataset on which it was trained.
    """

    name: Short
    training_data: Line


class About(Strict):
    """What the board says about an attack, which a challenger writes in YAML.

    Attributes:
        attack: its name; one name, version and date is one entry.
        version: the version of its code, such as "1.2"; in quotes, because YAML reads 1.10 as a number.
        date: the date of the submission.
        authors: the authors of the method.
        implemented_by: who wrote this code, if others than the authors of the method.
        description: one or two sentences.
        paper, code: where to read more; `None` if there is nothing.
        licence: the license of the code, as SPDX names it.
        threat_model: what the attack uses in addition to the observation file.
        prior: `None` for an attack without a prior.
        hardware: the hardware on which the seconds were measured.
    """

    attack: Slug
    version: VersionText
    date: Date
    authors: Annotated[list[Short], Field(min_length=1, max_length=50)]
    implemented_by: Annotated[list[Short], Field(min_length=1, max_length=50)] | None = None
    description: Line
    paper: Address | None = None
    code: Address | None = None
    licence: Short
    threat_model: Line
    prior: PriorAbout | None = None
    hardware: Line


def _use(value: str) -> str:
    if not re.fullmatch(r"[a-z0-9_]+|attack\.py:[A-Za-z_][A-Za-z0-9_]*", value):
        raise PydanticCustomError("use", "a registered name or attack.py:CLASS is expected")
    return value


def _options(options: dict[str, Any]) -> dict[str, Any]:
    _plain_value(options)
    if len(json.dumps(options)) > MOST_OPTIONS:
        raise PydanticCustomError("options", "more than {most} characters", {"most": MOST_OPTIONS})
    return options


def _plain_value(value: Any) -> None:
    """Refuse what a command line or JSON cannot hold."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if not isinstance(key, str):
                raise PydanticCustomError("options", "a key is no text")
            _plain_value(key)
            _plain_value(inner)
    elif isinstance(value, list):
        for inner in value:
            _plain_value(inner)
    elif isinstance(value, str):
        if unprintable(value) is not None:
            raise PydanticCustomError("options", "a text with characters that are not printable")
    elif isinstance(value, int):
        if abs(value) >= 1 << 63:
            raise PydanticCustomError("options", "a number of more than 64 bits")
    elif not (value is None or (isinstance(value, float) and math.isfinite(value))):
        raise PydanticCustomError("options", "neither text, number, list, mapping nor null")


class Use(Strict):
    """A component as runs record it: its name, its label, and every option."""

    use: Annotated[str, Field(max_length=100), AfterValidator(_use)]
    label: Short
    options: Annotated[dict[str, Any], AfterValidator(_options)]


class When(Strict):
    """Some of the observations, by their labels in the index of the set; both must be among those given.

    Attributes:
        tasks, defenses: labels; `None` for any.
    """

    tasks: Labels | None = None
    defenses: Labels | None = None

    @model_validator(mode="after")
    def _given(self) -> When:
        if self.tasks is None and self.defenses is None:
            raise PydanticCustomError("when", "labels of tasks or defenses are expected")
        return self

    def holds(self, task: str, defense: str) -> bool:
        """Whether an observation with these labels is one of them."""
        return (self.tasks is None or task in self.tasks) and (
            self.defenses is None or defense in self.defenses
        )


class SubmittedOverride(Strict):
    """Options that differ on some observations, as in `overrides` of a matrix.

    Attributes:
        when: the observations.
        set: the options.
    """

    when: When
    set: Annotated[dict[str, Any], AfterValidator(_options)]


class Rerun(Strict):
    """How to attack an observation again, with an attack of this project or of a file in the submission.

    Attributes:
        attack: a registered attack, or `attack.py:CLASS` in the submission.
        prior: a registered prior, or `None`.
        overrides: options of the attack that differ from task to task or from defense to defense, both of
            which an attacker knows; of two that set the same option, the later one holds.
    """

    attack: Use
    prior: Use | None = None
    overrides: Annotated[list[SubmittedOverride], Field(max_length=MOST_OVERRIDES)] = Field(
        default_factory=list
    )

    def attack_on(self, task: str, defense: str) -> Use:
        """The attack with its options for observations with these labels."""
        options = self.attack.options
        for override in self.overrides:
            if override.when.holds(task, defense):
                options = {**options, **override.set}
        if not self.attack.use.startswith(SOURCE):
            options = as_today(options)
        return self.attack.model_copy(update={"options": options})

    def unknown_label(self, tasks: Collection[str], defenses: Collection[str]) -> str | None:
        """The first label of an override that no observation has; `None` if there is none."""
        for override in self.overrides:
            for given, known in ((override.when.tasks, tasks), (override.when.defenses, defenses)):
                for label in given or ():
                    if label not in known:
                        return label
        return None


class SubmissionFile(Strict):
    """The content of `submission.yaml`.

    Attributes:
        protocol: its key.
        about: what the board says about the attack.
        rerun: `None` if it cannot be run here.
    """

    format: Literal["gifd-bench/submission/1"]
    protocol: Annotated[str, Field(pattern=r"^[a-z0-9-]+-v[0-9]+$", max_length=60)]
    about: About
    rerun: Rerun | None = None


def _at_most(most: int) -> BeforeValidator:
    """Refuse a mapping because of its length before its values are checked, each of which may be wrong."""

    def check(value: Any) -> Any:
        if isinstance(value, dict) and len(value) > most:
            raise PydanticCustomError("length", "more than {most} of them", {"most": most})
        return value

    return BeforeValidator(check)


# Far more than a sketch's sums ever are; without a bound, distances of fingerprints could be infinite.
Sum = Annotated[float, Field(ge=-1e12, le=1e12)]


class Result(Strict):
    """What is claimed about one reconstruction.

    Attributes:
        sha256: the SHA-256 of the file of the reconstruction.
        observation: SHA-256 of the observation file that was attacked, and its fingerprint, by which it is
            recognized if the file was made on another machine; both are in the index of the set.
        gradient_evaluations: the evaluations spent, over all restarts.
        matching_loss: `cosine` distance of the update from the gradient at these images and labels.
        seconds: wall-clock time; `None` if it was not measured.
        seed: the seed of the attack's randomness, for a rerun; `None` if there is none.
        metrics: claimed values, means over the images, which are compared and never shown.
    """

    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    observation: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    fingerprint: Annotated[list[Sum], Field(min_length=16, max_length=16)]
    gradient_evaluations: Annotated[int, Field(ge=1, le=10**12)]
    matching_loss: Annotated[float, Field(ge=-1e12, le=1e12)]
    seconds: Annotated[float, Field(ge=0, le=1e9)] | None = None
    seed: Annotated[int, Field(ge=0, lt=1 << 63)] | None = None
    metrics: Annotated[dict[Annotated[str, Field(max_length=40)], float], _at_most(MOST_METRICS)] = Field(
        default_factory=dict
    )


class ResultsFile(Strict):
    """`results.json`: a result for every observation that was attacked, by its name."""

    results: Annotated[
        dict[Annotated[str, Field(pattern=r"^[0-9]{3,6}$")], Result],
        Field(min_length=1),
        _at_most(MOST_RESULTS),
    ]
