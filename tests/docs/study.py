"""The tables of docs/study.md, from the committed results of the study. Run: `python -m tests.docs.study`.

Each table stands between two comments, which name it. `make study` runs the matrices, writes their cells to
docs/results and then these tables.
"""

from __future__ import annotations

import csv
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from statistics import fmean

import matplotlib as mpl
from matplotlib.figure import Figure

from gifd_bench.benchmark.figures.style import PAGE as PAGE_WIDTH
from gifd_bench.benchmark.figures.style import SETTINGS, color, line, reaches, save
from gifd_bench.benchmark.results.tables import markdown
from gifd_bench.benchmark.statistics.interval import Interval, Range
from gifd_bench.benchmark.statistics.paired import Scores, against_best, difference, mean_of
from tests.docs.pages import ROOT

PAGE = ROOT / "docs" / "study.md"
RESULTS = ROOT / "docs" / "results"
PICTURE = ROOT / "docs" / "images" / "study.svg"
DEFENDED_PICTURE = ROOT / "docs" / "images" / "study_defenses.svg"
TUNED = "_tuned"
# The defenses by the headings of their columns, and their labels in the matrices.
LABELS = {
    "none": "none",
    "noise 0.01": "noise_small",
    "noise 0.1": "noise",
    "sparsification": "sparsification",
    "Soteria": "soteria",
}
IMAGES = {
    "photos": "photographs",
    "pacs_art": "art",
    "pacs_cartoon": "cartoon",
    "pacs_photo": "photo",
    "pacs_sketch": "sketch",
    "imagenet": "ImageNet",
}
VICTIMS = {"convnet": "convolutional network", "resnet18": "ResNet-18"}
VARIANTS = {
    "gifd": "GIFD",
    "k0": "the latent alone (K = 0)",
    "k1": "K = 1",
    "k2": "K = 2",
    "k3": "K = 3",
    "no_balls": "without balls",
    "paper_balls": "balls of 0.06 an entry",
    "no_sphere": "without the sphere",
    "one_start": "one start, not three",
    "restarts_4": "four restarts",
    "released_4": "four restarts, as released",
    "held_out": "the answer by `held_out`",
}
SHARE: Range = (0.0, 1.0)
HEADINGS = (
    "attack",
    "PSNR, untuned",
    "PSNR, tuned",
    "tuned − untuned",
    "best − this one",
    "SSIM, tuned",
    "identified, tuned",
)


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


def grid(columns: Mapping[str, Column], compared: Sequence[tuple[str, str | None]] = ()) -> str:
    """The PSNR of attacks in several columns, and the number of images that were identified.

    Args:
        columns: by their headings; all have the same attacks.
        compared: pairs of attacks whose paired difference gets a line; `None` stands for the best other
            attack of the column.
    """
    attacks = list(next(iter(columns.values())))

    def mean(attack: str) -> float:
        return fmean(fmean(column[attack].scores().values()) for column in columns.values())

    attacks.sort(key=mean, reverse=True)
    psnr = {attack: [f"`{attack}`"] for attack in attacks}
    identified = {attack: [f"`{attack}`"] for attack in attacks}
    differences = [[f"`{one}` − {'best other' if two is None else f'`{two}`'}"] for one, two in compared]
    for column in columns.values():
        scores = [column[attack].scores() for attack in attacks]
        against = against_best(scores, sign=1)
        for place, attack in enumerate(attacks):
            shown = with_ends(mean_of(scores[place]), ".1f")
            psnr[attack].append(f"**{shown}**" if place in against.shared else shown)
            identified[attack].append(found(column[attack]))
        for cells, (one, two) in zip(differences, compared, strict=True):
            other = two or next(attack for attack in best_first(column) if attack != one)
            paired = difference(column[one].scores(), column[other].scores()).interval
            cells.append(with_ends(paired, "+.1f") + ("" if two else f" (`{other}`)"))
    headings = ("attack", *columns)
    first = markdown(headings, [*psnr.values(), *differences])
    return f"{first}\n\nIdentified:\n\n{markdown(headings, list(identified.values()))}"


def best_first(column: Column) -> list[str]:
    """The attacks by their mean PSNR."""
    return sorted(column, key=lambda attack: -fmean(column[attack].scores().values()))


def tuning_table(name: str) -> str:
    """Every attack with tuned and with untuned options, the best first."""
    cells = Cells.read(name)
    untuned, tuned = cells.by_attack(), cells.by_attack(TUNED)
    attacks = best_first(tuned)
    against = against_best([tuned[attack].scores() for attack in attacks], sign=1)
    lines = []
    for place, attack in enumerate(attacks):
        before, after = untuned[attack].scores(), tuned[attack].scores()
        behind = against.differences[place].interval if place in against.differences else None
        shown = with_ends(mean_of(after), ".1f")
        lines.append(
            [
                f"`{attack}`",
                with_ends(mean_of(before), ".1f"),
                f"**{shown}**" if place in against.shared else shown,
                with_ends(difference(after, before).interval, "+.1f"),
                with_ends(behind, ".1f"),
                with_ends(mean_of(tuned[attack].scores("ssim"), SHARE), ".2f"),
                found(tuned[attack]),
            ]
        )
    return markdown(HEADINGS, lines)


def defenses_table(task: str) -> str:
    """Tuned attacks under each defense, after those without one."""
    return grid(by_defense(task), [("gifd", None)])


def by_defense(task: str) -> dict[str, Column]:
    """The tuned attacks on a victim, without a defense and under each."""
    cells = Cells.read(f"study_defenses_{task}")
    columns = {heading: cells.where(defense=label).by_attack() for heading, label in LABELS.items()}
    columns["none"] = Cells.read(f"study_{task}").by_attack(TUNED)
    return {heading: column for heading, column in columns.items() if column}


def budgets_table(task: str) -> str:
    """Tuned attacks at two budgets of gradient evaluations."""
    columns = {
        "501 evaluations": Cells.read(f"study_{task}").by_attack(TUNED),
        "2,000 evaluations": Cells.read(f"study_{task}_2000").by_attack(),
    }
    return grid(columns, [("gifd", None)])


def batches_table(task: str) -> str:
    """Tuned attacks on single images and on batches."""
    cells = Cells.read(f"study_batches_{task}")
    sizes = sorted({int(row["batch_size"]) for row in cells.rows})
    batches = {f"batches of {size}": cells.where(batch_size=str(size)).by_attack() for size in sizes}
    attacks = cells.attacks()
    single = Cells.read(f"study_{task}").by_attack(TUNED)
    columns = {"single images": {attack: single[attack] for attack in attacks}, **batches}
    return grid(columns, [("gifd", None)])


def trained_table(name: str) -> str:
    """Tuned attacks on a victim with random weights, and on one that was trained."""
    columns = {
        "random weights": Cells.read("study_convnet").by_attack(TUNED),
        "trained": Cells.read(name).by_attack(),
    }
    return grid(columns, [("gifd", None)])


def images_table(name: str) -> str:
    """Attacks on images of each kind."""
    cells = Cells.read(name)
    columns = {heading: cells.where(task=task).by_attack() for task, heading in IMAGES.items()}
    columns["all"] = cells.by_attack()
    return grid(columns, [("gifd", None), ("gifd_ood", "gifd")])


def with_ends(interval: Interval | None, form: str) -> str:
    """A mean with the ends of its interval."""
    return "–" if interval is None else f"{interval.mean:{form}}{interval.ends(form)}"


def found(cells: Cells) -> str:
    """How many images were found among the others."""
    images = cells.scores("images")
    shares = cells.scores("identified")
    return f"{sum(shares[at] * count for at, count in images.items()):.0f} of {sum(images.values()):.0f}"


def beside_base(settings: Mapping[str, Column], groups: Sequence[Sequence[str]]) -> str:
    """Variants in several settings, each with its difference from another one on the same images.

    Args:
        settings: by their headings; not all need to have every variant.
        groups: the variants in the order of the lines; the first of a group is what the others of it are
            compared with.
    """
    headings = ["variant"]
    for heading in settings:
        headings += [heading, "difference", "identified"]
    lines = []
    for first, *others in groups:
        for variant in (first, *others):
            texts = [variant]
            for column in settings.values():
                if variant not in column:
                    texts += ["–"] * 3
                    continue
                scores, base = column[variant].scores(), column[first].scores()
                changed = None if variant == first else difference(scores, base).interval
                texts += [
                    with_ends(mean_of(scores), ".1f"),
                    with_ends(changed, "+.1f"),
                    found(column[variant]),
                ]
            lines.append(texts)
    return markdown(headings, lines)


def priors_table(name: str) -> str:
    """Attacks with the bundled prior and with worse ones."""
    cells = Cells.read(name)
    settings: dict[str, Column] = {}
    for task, victim in VICTIMS.items():
        for heading, bundled in by_defense(task).items():
            others = cells.where(task=task, defense=LABELS[heading])
            if others.rows:
                settings[victim if heading == "none" else f"{victim}, {heading}"] = {
                    **{f"`{attack}`, bundled": bundled[attack] for attack in others.attacks()},
                    **{
                        f"`{attack}`, {prior}": others.where(attack=attack, prior=prior)
                        for attack in others.attacks()
                        for prior in ("early", "untrained")
                    },
                }
    groups = [
        [f"`{attack}`, {prior}" for prior in ("bundled", "early", "untrained")]
        for attack in ("gifd", "gias", "latent")
    ]
    return beside_base(settings, groups)


def ablation_table(name: str) -> str:
    """GIFD without each of its parts."""
    cells = Cells.read(name).by_attack()
    column = {VARIANTS[attack]: these for attack, these in cells.items()}
    return beside_base({"PSNR": column}, [list(VARIANTS.values())])


def draw() -> None:
    """The mean PSNR of every attack, tuned and untuned, with intervals, as an SVG file."""
    with mpl.rc_context(SETTINGS):
        figure = Figure(figsize=(PAGE_WIDTH, 2.2), layout="constrained")
        for axes, (task, victim) in zip(
            figure.subplots(1, len(VICTIMS), squeeze=False)[0], VICTIMS.items(), strict=True
        ):
            cells = Cells.read(f"study_{task}")
            attacks = best_first(cells.by_attack(TUNED))
            for number, (suffix, label) in enumerate((("", "untuned"), (TUNED, "tuned"))):
                column = cells.by_attack(suffix)
                means = [mean_of(column[attack].scores()) for attack in attacks]
                axes.errorbar(
                    [interval.mean for interval in means],
                    [place + 0.15 - 0.3 * number for place in range(len(attacks))],
                    xerr=reaches(means),
                    fmt="os"[number],
                    color=color(number),
                    markerfacecolor=color(number) if suffix else "white",
                    elinewidth=0.6,
                    capsize=1.5,
                    label=label,
                )
            axes.set_yticks(range(len(attacks)), attacks)
            axes.invert_yaxis()
            axes.set_title(victim)
            axes.set_xlabel("PSNR (dB)")
            axes.grid(visible=True, axis="x")
            axes.legend()
        save(figure, PICTURE, "svg")


def draw_defenses() -> None:
    """The mean PSNR of every tuned attack under each defense, with intervals, as an SVG file."""
    with mpl.rc_context(SETTINGS):
        figure = Figure(figsize=(PAGE_WIDTH, 4.2), layout="constrained")
        for axes, (task, victim) in zip(
            figure.subplots(len(VICTIMS), 1, squeeze=False)[:, 0], VICTIMS.items(), strict=True
        ):
            columns = by_defense(task)
            attacks = best_first(columns["none"])
            for number, attack in enumerate(sorted(attacks)):
                means = [mean_of(column[attack].scores()) for column in columns.values()]
                places = [place + 0.1 * (number - (len(attacks) - 1) / 2) for place in range(len(columns))]
                line(axes, number, attack, places, means, joined=False)
            axes.set_xticks(range(len(columns)), columns)
            axes.set_title(victim)
            axes.set_ylabel("PSNR (dB)")
            axes.grid(visible=True, axis="y")
        figure.axes[0].legend(ncols=2)
        save(figure, DEFENDED_PICTURE, "svg")


# The tables of the page, by the matrix whose cells they show.
TABLES: Mapping[str, Callable[[], str]] = {
    "study_convnet": partial(tuning_table, "study_convnet"),
    "study_resnet18": partial(tuning_table, "study_resnet18"),
    "study_defenses_convnet": partial(defenses_table, "convnet"),
    "study_defenses_resnet18": partial(defenses_table, "resnet18"),
    "study_trained": partial(trained_table, "study_trained"),
    "study_ood": partial(images_table, "study_ood"),
    "study_priors": partial(priors_table, "study_priors"),
    "study_ablation": partial(ablation_table, "study_ablation"),
}


def filled(page: str) -> str:
    """The page with every table written anew."""
    for name, table in TABLES.items():
        begin, end = f"<!-- {name} -->\n\n", f"\n\n<!-- end of {name} -->"
        before, opening, rest = page.partition(begin)
        _, closing, after = rest.partition(end)
        if opening and closing:
            page = f"{before}{begin}{table()}{end}{after}"
    return page


def names(page: str) -> Iterator[str]:
    """The tables that the page has."""
    return (match[1] for match in re.finditer(r"<!-- end of (\w+) -->", page))


def main() -> int:
    """Write the tables and the pictures."""
    PAGE.write_text(filled(PAGE.read_text()))
    draw()
    draw_defenses()
    return 0


if __name__ == "__main__":
    sys.exit(main())
