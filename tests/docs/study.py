"""The tables of docs/study.md and docs/study-variations.md, from the committed results of the study.

Run: `python -m tests.docs.study`.

Each table stands between two comments, which name it. `make study` runs the matrices, writes their cells to
docs/results and then these tables.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from statistics import fmean

from gifd_bench.benchmark.results.tables import markdown
from gifd_bench.benchmark.statistics.interval import Range
from gifd_bench.benchmark.statistics.paired import Scores, against_best, difference, mean_of
from tests.docs.pages import ROOT
from tests.docs.study_cells import (
    LABELS,
    TUNED,
    VICTIMS,
    Cells,
    Column,
    best_first,
    by_defense,
    found,
    with_ends,
)
from tests.docs.study_charts import draw, draw_defenses

PAGES = (ROOT / "docs" / "study.md", ROOT / "docs" / "study-variations.md")
IMAGES = {
    "photos": "photographs",
    "pacs_art": "art",
    "pacs_cartoon": "cartoon",
    "pacs_photo": "photo",
    "pacs_sketch": "sketch",
    "imagenet": "ImageNet",
}
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


def grid(columns: Mapping[str, Column], compared: Sequence[tuple[str, str | None]] = ()) -> str:
    """The PSNR of attacks in several columns, and the number of images that were identified.

    Args:
        columns: by their headings; all have the same attacks.
        compared: pairs of attacks whose paired difference gets a line; `None` stands for the best other
            attack of the column.
    """
    attacks = best_first(*columns.values())
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


def budgets_table(task: str) -> str:
    """Tuned attacks at two budgets of gradient evaluations."""
    columns = {
        "501 evaluations": Cells.read(f"study_{task}").by_attack(TUNED),
        "2,000 evaluations": Cells.read(f"study_{task}_2000").by_attack(),
    }
    return grid(columns, [("gifd", None)])


def defenses_table(task: str) -> str:
    """Attacks without a defense and under each: tuned, untuned, and the difference."""
    tuned, untuned = by_defense(task), by_defense(task, suffix="")
    gains = []
    for attack in best_first(*tuned.values()):
        changes = (
            difference(column[attack].scores(), untuned[heading][attack].scores()).interval
            for heading, column in tuned.items()
        )
        gains.append([f"`{attack}`", *(with_ends(change, "+.1f") for change in changes)])
    parts = (
        "With tuned options:",
        grid(tuned, [("gifd", None)]),
        "With untuned options:",
        grid(untuned, [("gifd", None)]),
        "Tuned − untuned:",
        markdown(("attack", *tuned), gains),
    )
    return "\n\n".join(parts)


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
    """Attacks on a victim with random weights, and on one that was trained, with options from either."""
    random, trained = Cells.read("study_convnet").by_attack(TUNED), Cells.read(name)
    every, again = trained.by_attack(), trained.by_attack(TUNED)
    columns = {
        "random weights": random,
        "trained": {attack: every[attack] for attack in again},
        "trained, tuned there": again,
    }
    return grid(columns, [("gifd", None)])


def images_table(name: str) -> str:
    """Attacks on images of each kind."""
    cells = Cells.read(name)
    columns = {heading: cells.where(task=task).by_attack() for task, heading in IMAGES.items()}
    columns["all"] = cells.by_attack()
    return grid(columns, [("gifd", None), ("gifd_ood", "gifd")])


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


def plus_table(name: str) -> str:
    """GIFD's successor in every column of the tables under defenses, and over all columns."""
    own, columns = Cells.read(name), {}
    for task, victim in VICTIMS.items():
        for heading, column in by_defense(task).items():
            noisy = own.where(task=task, defense=LABELS[heading]).by_attack()
            # Without noise it is GIFD.
            columns[f"{victim}, {heading}"] = {"gifd_plus": column["gifd"], **column, **noisy}
    scores = {
        heading: {attack: cells.scores() for attack, cells in column.items()}
        for heading, column in columns.items()
    }
    lines = [
        [*plus_line(heading, scores[heading]), found(column["gifd_plus"])]
        for heading, column in columns.items()
    ]
    everywhere = set.intersection(*map(set, scores.values()))
    over_all = {
        attack: over_columns([column[attack] for column in columns.values()]) for attack in everywhere
    }
    lines.append([*plus_line(f"mean of all {len(columns)}", over_all), "–"])
    headings = ("update", "`gifd_plus`", "− without the mean", "− `gifd`", "− best other", "identified")
    return markdown(headings, lines)


def plus_line(heading: str, column: Mapping[str, Scores]) -> list[str]:
    """`gifd_plus` in one column, with its differences from its parts and from the best other attack."""
    ours, parts = column["gifd_plus"], ("without_mean", "gifd")
    line = [heading, with_ends(mean_of(ours), ".1f")]
    for part in parts:
        same = column.get(part, ours) == ours
        line.append("–" if same else with_ends(difference(ours, column[part]).interval, "+.1f"))
    best = max(column.keys() - {"gifd_plus", *parts}, key=lambda attack: fmean(column[attack].values()))
    return [*line, f"{with_ends(difference(ours, column[best]).interval, '+.1f')} (`{best}`)"]


def over_columns(columns: Sequence[Cells]) -> Scores:
    """The mean PSNR of each image over several columns, which have the same images."""
    values: dict[tuple[str, str], list[float]] = {}
    for cells in columns:
        for row in cells.rows:
            values.setdefault((row["target"], row["seed"]), []).append(float(row["psnr"]))
    return {at: fmean(every) for at, every in values.items()}


def ablation_table(name: str) -> str:
    """GIFD without each of its parts."""
    cells = Cells.read(name).by_attack()
    column = {VARIANTS[attack]: these for attack, these in cells.items()}
    return beside_base({"PSNR": column}, [list(VARIANTS.values())])


# The tables of the page, by the matrix whose cells they show.
TABLES: Mapping[str, Callable[[], str]] = {
    "study_convnet": partial(tuning_table, "study_convnet"),
    "study_resnet18": partial(tuning_table, "study_resnet18"),
    "study_convnet_2000": partial(budgets_table, "convnet"),
    "study_resnet18_2000": partial(budgets_table, "resnet18"),
    "study_defenses_convnet": partial(defenses_table, "convnet"),
    "study_defenses_resnet18": partial(defenses_table, "resnet18"),
    "study_batches_convnet": partial(batches_table, "convnet"),
    "study_batches_resnet18": partial(batches_table, "resnet18"),
    "study_trained": partial(trained_table, "study_trained"),
    "study_ood": partial(images_table, "study_ood"),
    "study_priors": partial(priors_table, "study_priors"),
    "study_ablation": partial(ablation_table, "study_ablation"),
    "study_ablation_resnet18": partial(ablation_table, "study_ablation_resnet18"),
    "study_plus": partial(plus_table, "study_plus"),
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
    for page in PAGES:
        page.write_text(filled(page.read_text()))
    draw()
    draw_defenses()
    return 0


if __name__ == "__main__":
    sys.exit(main())
