"""The finding of a run in three sentences.

They say what leaked, which attack is best and how certain that is, and which defense helped at which
strength.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from gifd_bench.benchmark.report.naming import UNDEFENDED, Names, is_undefended
from gifd_bench.benchmark.report.summary import METRICS, Summary, scores_of
from gifd_bench.benchmark.scoring.registry import IDENTIFIED
from gifd_bench.benchmark.statistics.interval import FEWEST_UNITS, Interval
from gifd_bench.benchmark.statistics.paired import Difference, Scores, against_best, difference

PSNR = METRICS[0].name
# A setting hides the images if no attack identifies more than this share of them.
FEW = 0.05


@dataclass(frozen=True)
class Setting:
    """A defense, with what the attacks on one task read under it.

    Attributes:
        name: its name for people, with its parameters.
        undefended: whether the update is sent as it is.
        attack: the name of the best attack.
        best: the attack with the best mean PSNR, among those that lack no cell if there are any.
        summaries: the summaries of all attacks with scores.
    """

    name: str
    undefended: bool
    attack: str
    best: Summary
    summaries: tuple[Summary, ...]

    @property
    def psnr(self) -> float:
        """The mean of the best attack in dB."""
        return mean_psnr(self.best)

    @property
    def identified(self) -> Interval | None:
        """The largest share of the images that any attack identified, 0 to 1; `None` if it is not known."""
        shares = [share for s in self.summaries if (share := s.intervals[IDENTIFIED]) is not None]
        return max(shares, key=lambda share: share.mean, default=None)

    @property
    def hides(self) -> bool:
        """Whether no attack identified more than `FEW` of the images."""
        return self.identified is not None and self.identified.mean <= FEW

    @property
    def where(self) -> str:
        """The beginning of a sentence about it."""
        if self.name == UNDEFENDED:
            return "Without a defense"
        return f"Undefended ({self.name})" if self.undefended else f"Under {self.name}"


@dataclass(frozen=True)
class Finding:
    """The finding on one task.

    Attributes:
        task: its label.
        opened: the setting that leaks most: that without a defense, if it was run.
        helped: the defended setting that helped. Among those that hide the images, it is the one that leaks
            most by PSNR, which is the weakest; if none hides them, the one that leaks least. `None` without
            a defended setting.
        still_leaks: among the settings made of the same components, the strongest one that leaks more.
        sentences: three, or two if nothing was defended.
    """

    task: str
    opened: Setting
    helped: Setting | None
    still_leaks: Setting | None
    sentences: tuple[str, ...]

    @property
    def settings(self) -> tuple[Setting, ...]:
        """The settings to show, from the one that leaks most on."""
        return tuple(s for s in (self.opened, self.still_leaks, self.helped) if s is not None)


def finding_of(summaries: Sequence[Summary], names: Names) -> Finding | None:
    """What the summaries of one task say; `None` if no cell has scores."""
    settings = _settings(summaries, names)
    if not settings:
        return None
    opened = max(settings, key=lambda setting: (setting.undefended, setting.psnr))
    defended = [setting for setting in settings if not setting.undefended and setting is not opened]
    helped = _helped(defended)
    sentences = [_leaked(opened), _best(opened, names)]
    if helped is not None:
        sentences.append(_defended(opened, helped, len(defended)))
    still = _still_leaks(defended, helped)
    return Finding(opened.best.group.task, opened, helped, still, tuple(sentences))


def mean_psnr(summary: Summary) -> float:
    """The mean PSNR in dB; minus infinity without scores."""
    interval = summary.intervals[PSNR]
    return interval.mean if interval else -math.inf


def _settings(summaries: Sequence[Summary], names: Names) -> list[Setting]:
    found: dict[str, list[Summary]] = {}
    for summary in summaries:
        if summary.intervals[PSNR] is not None:
            found.setdefault(summary.group.defense, []).append(summary)
    settings = []
    for defense, of_defense in found.items():
        best = max(of_defense, key=lambda s: (s.complete, mean_psnr(s)))
        undefended = is_undefended(of_defense[0].group.rows[0].cell.defense)
        attack = names.attack(best.group.attack)
        settings.append(Setting(names.defense(defense), undefended, attack, best, tuple(of_defense)))
    return settings


def _helped(defended: Sequence[Setting]) -> Setting | None:
    hiding = [setting for setting in defended if setting.hides]
    if hiding:
        return max(hiding, key=lambda setting: setting.psnr)
    return min(defended, key=lambda setting: setting.psnr, default=None)


def _still_leaks(defended: Sequence[Setting], helped: Setting | None) -> Setting | None:
    if helped is None:
        return None
    more = [s for s in defended if _kind(s) == _kind(helped) and s.psnr > helped.psnr and not s.hides]
    return min(more, key=lambda setting: setting.psnr, default=None)


def _kind(setting: Setting) -> tuple[str, ...]:
    return tuple(part.name for part in setting.best.group.rows[0].cell.defense.parts)


def _leaked(setting: Setting) -> str:
    best, psnr = setting.best, setting.best.intervals[PSNR]
    assert psnr is not None
    ssim, found = best.intervals["ssim"], best.intervals[IDENTIFIED]
    images = f"{psnr.n} private image{'s' if psnr.n != 1 else ''}"
    worth = f"a mean PSNR of {psnr.mean:.1f} dB{psnr.ends('.1f')}"
    if ssim:
        worth += f" and SSIM of {ssim.mean:.2f}"
    text = f"{setting.where}, {setting.attack} read back {images} at {worth}"
    if found is None:
        return f"{text}."
    return (
        f"{text}; {found.mean:.0%} of what it read back finds its own private image at once among "
        f"{best.group.distractors:,} others{found.ends('.0%')}."
    )


def _best(setting: Setting, names: Names) -> str:
    best, name = setting.best, setting.attack
    others = {s.group.attack: s for s in setting.summaries if s is not best}
    if not others:
        return f"{name} is the only attack here with results; another one may read more."
    held = against_best([_scores(best), *map(_scores, others.values())], 1, [True, *[False] * len(others)])
    found = dict(zip(others, (held.differences[k + 1] for k in range(len(others))), strict=True))
    nearest = max(others, key=lambda attack: mean_psnr(others[attack]))
    near = found[nearest]
    images = near.interval.n if near.interval else 0
    ahead = _margin(near)
    if near.p is None:
        few = f"{images} image{'s are' if images != 1 else ' is'} too few"
        return (
            f"{name} is ahead of {names.attack(nearest)}, the next best, by {ahead}, but {few} to be sure: "
            f"the paired test needs {FEWEST_UNITS}."
        )
    level = [names.attack(attack) for attack, difference in found.items() if not difference.separates]
    if level:
        return (
            f"{name} has the best mean, but a paired test over {images} images cannot tell it from "
            f"{_listed(level)} (ahead of {names.attack(nearest)} by {ahead}, p = {near.adjusted:.2g})."
        )
    return (
        f"{name} is the best attack: it is ahead of {names.attack(nearest)}, the next best, by {ahead} "
        f"(paired test over {images} images, p = {near.adjusted:.2g})."
    )


def _defended(opened: Setting, helped: Setting, tried: int) -> str:
    fell = difference(_scores(opened.best), _scores(helped.best))
    images = fell.interval.n if fell.interval else 0
    sure = f"too few images for a test: {images}" if fell.p is None else f"paired test, p = {fell.p:.2g}"
    change = f"the best attack falls from {opened.psnr:.1f} to {helped.psnr:.1f} dB ({sure})"
    before, after = opened.identified, helped.identified
    if before is None or after is None:
        which = "is the one defense tried" if tried == 1 else f"leaves least of the {tried} settings tried"
        return f"{helped.name} {which}: {change}."
    if before.mean <= FEW:
        return f"{opened.where}, {_most_identified(before)}; under {helped.name} {change}."
    where = opened.where[0].lower() + opened.where[1:]
    seen = f"{_most_identified(after)}, compared with {before.mean:.0%} {where}; {change}"
    if tried == 1:
        return f"Under {helped.name}, {seen}."
    if helped.hides:
        return (
            f"Of {tried} settings, {helped.name} is the weakest under which at most {FEW:.0%} of the "
            f"images were identified: {seen}."
        )
    return (
        f"Under each of {tried} settings, more than {FEW:.0%} of the images were identified. PSNR is "
        f"lowest under {helped.name}: {seen}."
    )


def _most_identified(share: Interval) -> str:
    """What the attack that identified most images has identified, and of how many."""
    images = "the one image" if share.n == 1 else f"{share.n} images"
    if share.mean == 0:
        return f"no attack identified {'' if share.n == 1 else 'any of '}{images}{share.ends('.0%')}"
    return f"the attack that identified most found {share.mean:.0%} of {images}{share.ends('.0%')}"


def _scores(summary: Summary) -> Scores:
    return scores_of(summary.group, PSNR)


def _margin(found: Difference) -> str:
    return "–" if found.interval is None else f"{found.interval.mean:.1f} dB{found.interval.ends('.1f')}"


def _listed(names: Sequence[str]) -> str:
    return " and ".join(", ".join(names).rsplit(", ", 1))
