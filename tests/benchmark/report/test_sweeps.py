"""Numbers of settings as axes, what settings are called, and what is said of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from gifd_bench.benchmark.matrix.cell import Cell
from gifd_bench.benchmark.matrix.component import Component
from gifd_bench.benchmark.report.axes import parameter_axes
from gifd_bench.benchmark.report.facts import axes_of
from gifd_bench.benchmark.report.finding import finding_of
from gifd_bench.benchmark.report.naming import Names
from gifd_bench.benchmark.report.opening import telling_images
from gifd_bench.benchmark.report.plots import Plot, Plots
from gifd_bench.benchmark.report.summary import METRICS, summaries_of
from gifd_bench.benchmark.results.rows import Row
from tests.benchmark.helpers import tiny_matrix
from tests.benchmark.report.helpers import Answer, finished_rows

STRENGTHS = [1e-4, 1e-3, 0.01, 0.1]
NOISE = {"none": None, "noise": {"use": "gaussian_noise", "std": STRENGTHS}}
TARGETS = list(range(8))

# A defense from a file.
MASK = """
from dataclasses import dataclass

from gifd_bench.tasks.defenses.base import Defense


@dataclass(frozen=True)
class Mask(Defense):
    file: str

    def apply(self, update, batch, generator):
        return dict(update)
"""


def fading(cell: Cell) -> Answer:
    """From 1e-2 on nothing is identified; GIFD is 5 dB ahead of IG."""
    (part,) = cell.defense.parts
    std = float(part.options.get("std", 0.0))
    psnr = 30.0 + cell.target - 100 * std + (5 if cell.attack.label == "gifd" else 0)
    return Answer((psnr,), identified=(float(std < 5e-3),))


def rows_with(folder: Path, **changes: Any) -> list[Row]:
    matrix = tiny_matrix(folder, **{"targets": TARGETS, "defenses": NOISE, **changes})
    return finished_rows(matrix, folder / "out", fading)


def plots_of(rows: list[Row]) -> list[Plot]:
    return Plots(summaries_of(rows), Names.of(rows), lambda _: torch.tensor([0.2, 0.1])).all(METRICS)


@pytest.mark.slow
def test_a_swept_strength_is_a_logarithmic_axis_and_no_category(tmp_path: Path) -> None:
    plots = [plot for plot in plots_of(rows_with(tmp_path)) if plot.defense is None]
    assert [plot.heading for plot in plots] == [
        f"photos: {metric} by gaussian_noise std; dotted: no defense"
        for metric in ("PSNR", "SSIM", "identified")
    ]
    layout = plots[0].spec["layout"]
    assert (layout["xaxis"]["type"], layout["xaxis"]["title"]["text"]) == ("log", "gaussian_noise std")
    line, level = plots[0].spec["data"][:2]
    assert line["x"] == STRENGTHS
    assert line["y"] == [33.5 - 100 * std for std in STRENGTHS]
    assert (level["x"], level["y"]) == ([1e-4, 0.1], [33.5, 33.5])


def test_an_option_of_an_attack_is_an_axis(tmp_path: Path) -> None:
    attacks = {"ig": {"iterations": 4, "learning_rate": [0.01, 0.02, 0.04]}}
    rows = rows_with(tmp_path, attacks=attacks, defenses={"none": None})
    by_rate = {0.01: 10.0, 0.02: 12.0, 0.04: 11.0}
    rows = finished_rows(
        tiny_matrix(tmp_path, attacks=attacks, defenses={"none": None}),
        tmp_path / "rates",
        lambda cell: Answer((by_rate[cell.attack.options["learning_rate"]],)),
    )
    plot = next(plot for plot in plots_of(rows) if "PSNR by" in plot.heading)
    assert plot.heading == "photos, no defense: PSNR by ig learning_rate"
    assert (plot.spec["data"][0]["x"], plot.spec["data"][0]["y"]) == ([0.01, 0.02, 0.04], [10, 12, 11])
    assert "type" not in plot.spec["layout"]["xaxis"]
    assert set(Names.of(rows).attacks.values()) == {f"ig (learning_rate {rate:g})" for rate in by_rate}


def test_what_two_numbers_tell_apart_has_a_line_for_each_value_of_the_other(tmp_path: Path) -> None:
    defense = {"use": "dp_sgd", "bound": [1.0, 2.0], "noise_multiplier": [0.1, 1.0, 10.0]}
    matrix = tiny_matrix(tmp_path, defenses={"dp": defense})
    axes = parameter_axes({d.label: d.parts for d in matrix.defenses})
    assert [axis.title for axis in axes] == [
        "dp_sgd noise_multiplier (bound 1)",
        "dp_sgd noise_multiplier (bound 2)",
    ]
    assert [list(axis.values.values()) for axis in axes] == [[0.1, 1.0, 10.0]] * 2


def test_a_chart_names_the_class_of_a_file_and_not_its_folder() -> None:
    settings = {
        str(share): [Component("defense", "/home/ann/masks.py:Mask", str(share), {"share": share})]
        for share in (0.1, 0.5)
    }
    assert [axis.title for axis in parameter_axes(settings)] == ["Mask share"]


def test_what_was_run_is_said_without_folders(tmp_path: Path) -> None:
    (tmp_path / "masks.py").write_text(MASK, encoding="utf-8")
    mask = {"use": f"{tmp_path}/masks.py:Mask", "file": f"{tmp_path}/mask.png"}
    matrix = tiny_matrix(tmp_path, defenses={"mask": mask})
    (defenses,) = [axis for axis in axes_of(matrix) if axis.name == "defenses"]
    assert [entry.uses for entry in defenses.entries] == [("masks.py:Mask: file=mask.png",)]


def test_of_two_images_one_is_read_best_and_the_other_worst(tmp_path: Path) -> None:
    values = {0: 10.0, 1: 20.0}
    matrix = tiny_matrix(tmp_path, defenses={"none": None}, targets=2)
    rows = finished_rows(matrix, tmp_path / "out", lambda cell: Answer((values[cell.target],)))
    best = summaries_of(rows)[0]
    assert [(why, row.target) for why, row, _ in telling_images(best)] == [
        ("read best", 1),
        ("read worst", 0),
    ]


def test_names_say_the_strength_and_not_twice(tmp_path: Path) -> None:
    matrix = tiny_matrix(tmp_path, defenses={**NOISE, "plain": "gaussian_noise"})
    rows = finished_rows(matrix, tmp_path / "out", fading)
    names = Names.of(rows)
    assert names.defense("none") == "no defense"
    assert [names.defense(d.label) for d in matrix.defenses[1:]] == [
        "noise (std 0.0001)",
        "noise (std 0.001)",
        "noise (std 0.01)",
        "noise (std 0.1)",
        f"plain (std {matrix.defenses[-1].parts[0].options['std']:g})",
    ]


@pytest.mark.slow
def test_the_sentences_name_the_best_attack_and_the_weakest_strength_under_which_little_is_identified(
    tmp_path: Path,
) -> None:
    rows = rows_with(tmp_path)
    finding = finding_of(summaries_of(rows), Names.of(rows))
    assert finding is not None
    leaked, best, defended = finding.sentences
    assert leaked.startswith(
        "Without a defense, gifd (cifar10) read back 8 private images at a mean PSNR of 38.5 dB ["
    )
    assert "100% of what it read back finds its own private image at once among 1,000 others [" in leaked
    assert best.startswith("gifd (cifar10) is the best attack: it is ahead of ig, the next best, by 5.0 dB")
    assert "paired test over 8 images, p = 0.0078" in best
    assert defended.startswith(
        "Of 4 settings, noise (std 0.01) is the weakest under which at most 5% of the images were "
        "identified: no attack identified any of 8 images [0%, 32%], compared with 100% without a defense; "
    )
    assert [setting.name for setting in finding.settings] == [
        "no defense",
        "noise (std 0.001)",
        "noise (std 0.01)",
    ]


@pytest.mark.parametrize(
    ("targets", "std", "sentence"),
    [
        (1, 0.01, "Under noise (std 0.01), no attack identified the one image, compared with 100% without"),
        (
            2,
            0.01,
            "Under noise (std 0.01), no attack identified any of 2 images, compared with 100% without",
        ),
        (2, 1e-3, "the attack that identified most found 100% of 2 images, compared with 100% without"),
        (6, 0.01, "no attack identified any of 6 images [0%, 39%], compared with 100% without a defense"),
    ],
)
def test_a_defense_is_said_to_do_what_was_seen_on_so_many_images(
    tmp_path: Path, targets: int, std: float, sentence: str
) -> None:
    defenses = {"none": None, "noise": {"use": "gaussian_noise", "std": std}}
    rows = rows_with(tmp_path, targets=targets, defenses=defenses)
    finding = finding_of(summaries_of(rows), Names.of(rows))
    assert finding is not None
    assert sentence in finding.sentences[2]
    assert "hide" not in finding.sentences[2]


def test_attacks_that_cannot_be_told_apart_are_said_to_be_level(tmp_path: Path) -> None:
    ahead = [3.0, -1.0, 2.0, -2.0, 1.0, 4.0, -3.0, 2.5]

    def outcome(cell: Cell) -> Answer:
        return Answer((20.0 + (ahead[cell.target] if cell.attack.label == "gifd" else 0.0),))

    matrix = tiny_matrix(tmp_path, targets=TARGETS, defenses={"none": None})
    rows = finished_rows(matrix, tmp_path / "out", outcome)
    finding = finding_of(summaries_of(rows), Names.of(rows))
    assert finding is not None
    assert len(finding.sentences) == 2
    assert "a paired test over 8 images cannot tell it from ig" in finding.sentences[1]


def test_nothing_is_said_where_nothing_is_done(tmp_path: Path) -> None:
    rows = finished_rows(tiny_matrix(tmp_path), tmp_path / "out", lambda _: "pending")
    assert finding_of(summaries_of(rows), Names.of(rows)) is None
