"""The committed cells of the study, and how its tables and charts show them."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from gifd_bench.benchmark.statistics.interval import Interval
from gifd_bench.benchmark.statistics.paired import Scores
from tests.docs.pages import ROOT

RESULTS = ROOT / "docs" / "results"
TUNED = "_tuned"
# The defenses by the headings of their columns, and their labels in the matrices.
LABELS = {
    "none": "none",
    "noise 0.01": "noise_small",
    "noise 0.1": "noise",
    "clipping": "clipping",
    "sparsification": "sparsification",
    "Soteria": "soteria",
}
VICTIMS = {"convnet": "convolutional network", "resnet18": "ResNet-18"}


@dataclass(frozen=True)
class Cells:
    """The cells of a matrix that are done."""

    rows: Sequence[dict[str, str]]

    @classmethod
    def read(cls, name: str) -> Cells:
        """Those of a committed file."""
        with (RESULTS / f"{name}.csv").open(newline="") as file:
            return cls([row for row in csv.DictReader(file) if row["status"] == "done"])

    def where(self, **values: str) -> Cells:
        """Those with these values."""
        rows = (row for row in self.rows if all(row[name] == value for name, value in values.items()))
        return Cells(list(rows))

    def attacks(self) -> list[str]:
        """The attacks, in their order."""
        return list(dict.fromkeys(row["attack"] for row in self.rows))

    def by_attack(self, suffix: str = "") -> Column:
        """The cells of every attack whose label ends so, under its label without the ending."""
        return {
            attack.removesuffix(suffix): self.where(attack=attack)
            for attack in self.attacks()
            if attack.endswith(suffix)
        }

    def scores(self, metric: str = "psnr") -> Scores:
        """One score for each target of each task: the cells are of one attack."""
        return {((row["task"], row["target"]), row["seed"]): float(row[metric]) for row in self.rows}


# A column of a table: the cells of each attack.
Column = Mapping[str, Cells]


def best_first(*columns: Column) -> list[str]:
    """The attacks by the mean over the columns, which all have them, of their mean PSNR."""

    def mean(attack: str) -> float:
        return fmean(fmean(column[attack].scores().values()) for column in columns)

    return sorted(columns[0], key=mean, reverse=True)


def by_defense(task: str, suffix: str = TUNED) -> dict[str, Column]:
    """The attacks on a victim whose labels end so, without a defense and under each."""
    cells = Cells([*Cells.read(f"study_{task}").rows, *Cells.read(f"study_defenses_{task}").rows])
    attacks = cells.by_attack(TUNED)
    return {
        heading: {attack: column.where(attack=f"{attack}{suffix}") for attack in attacks}
        for heading, label in LABELS.items()
        if (column := cells.where(defense=label)).rows
    }


def with_ends(interval: Interval | None, form: str) -> str:
    """A mean with the ends of its interval."""
    return "–" if interval is None else f"{interval.mean:{form}}{interval.ends(form)}"


def found(cells: Cells) -> str:
    """How many images were found among the others."""
    images = cells.scores("images")
    shares = cells.scores("identified")
    return f"{sum(shares[at] * count for at, count in images.items()):.0f} of {sum(images.values()):.0f}"
