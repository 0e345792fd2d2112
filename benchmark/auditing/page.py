"""The page of an audit: one HTML file with everything in it."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files

from jinja2 import Environment, PackageLoader, StrictUndefined
from PIL import Image
from torch import Tensor

from gifd_bench.benchmark.auditing.owner import RECOGNIZED_SSIM, ImageScore, Owned
from gifd_bench.benchmark.auditing.plan import AuditPlan
from gifd_bench.benchmark.auditing.verdict import AuditVerdict, JudgedAnswer
from gifd_bench.benchmark.auditing.wording import Labels
from gifd_bench.benchmark.report.strips import SMALL
from gifd_bench.benchmark.self_check import ObservationCheck

# More private images than these are counted in the verdict, and not shown.
MOST_SHOWN = 32


@dataclass(frozen=True)
class AuditPicture:
    """An image and the lines of its caption."""

    title: str
    source: str
    caption: tuple[str, ...]


@dataclass(frozen=True)
class AuditLine:
    """One private image or, if the truth is not given, one image of the answer."""

    heading: str
    recognized: str
    first: tuple[AuditPicture, ...]
    others: tuple[AuditPicture, ...]


@dataclass(frozen=True)
class Page:
    """The content of the page.

    Attributes:
        title: the title of the page.
        verdict: the verdict of the audit.
        judged: the answers of all attacks, those that explain the update best first, and failed ones last.
        owned: the truth, if it is given.
        check: whether the update is described correctly, if that is known.
        labels: which labels leaked.
        assumptions, advice: one sentence for each.
        plan: what was tried and what was not.
        facts: what was audited, by name.
    """

    title: str
    verdict: AuditVerdict
    judged: tuple[JudgedAnswer, ...]
    owned: Owned | None
    check: ObservationCheck | None
    labels: Labels
    assumptions: tuple[str, ...]
    advice: tuple[str, ...]
    plan: AuditPlan
    facts: dict[str, str]

    def html(self) -> str:
        """The whole page, which needs no other file and no network."""
        environment = Environment(
            loader=PackageLoader("gifd_bench.benchmark.auditing"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        return environment.get_template("audit.html").render(
            page=self,
            style=_style(),
            lines=_lines(self.judged, self.verdict, self.owned),
            hidden=max(0, self.verdict.images - MOST_SHOWN),
            omissions=_omissions(self.plan),
            small=self._pixels() <= SMALL,
            ssim=RECOGNIZED_SSIM,
        )

    def _pixels(self) -> int:
        return max((max(one.found.images.shape[2:]) for one in self.judged), default=0)


def _style() -> str:
    """The report's style sheet, and what an audit adds."""
    report = files("gifd_bench.benchmark.report") / "assets" / "report.css"
    own = files("gifd_bench.benchmark.auditing") / "assets" / "audit.css"
    return report.read_text(encoding="utf-8") + own.read_text(encoding="utf-8")


def _omissions(plan: AuditPlan) -> list[tuple[str, str]]:
    """What was not tried; those with the same reason together."""
    found: dict[str, list[str]] = {}
    for omission in plan.omissions:
        found.setdefault(omission.reason, []).append(omission.label)
    return [(", ".join(labels), reason) for reason, labels in found.items()]


def _lines(judged: Sequence[JudgedAnswer], verdict: AuditVerdict, owned: Owned | None) -> list[AuditLine]:
    done = [one for one in judged if one.found.failure is None]
    count = min(verdict.images, MOST_SHOWN)
    if not done:
        return []
    if owned is None:
        return [
            AuditLine(
                f"image {k + 1}",
                "",
                (_answer(done[0], k, "explains the update best"),),
                tuple(_answer(one, k, "") for one in done[1:]),
            )
            for k in range(count)
        ]
    assert verdict.best is not None
    best, chosen = verdict.best, verdict.chosen
    first = [(best, "nearest to the truth")]
    if chosen is not None and chosen is not best:
        first.append((chosen, "explains the update best"))
    rest = [one for one in done if one is not best and one is not chosen]
    return [
        AuditLine(
            f"image {k + 1}" if verdict.images > 1 else "",
            _recognized(best, k),
            (
                AuditPicture("private image", _png(owned.images[k]), ()),
                *(_answer(one, k, title) for one, title in first),
            ),
            tuple(_answer(one, k, "") for one in rest),
        )
        for k in range(count)
    ]


def _recognized(best: JudgedAnswer, image: int) -> str:
    assert best.score is not None
    one = best.score.images[image]
    if one.recognized:
        return "recognized"
    return "partly recognized" if one.identified or one.similar else "not recognized"


def _answer(judged: JudgedAnswer, image: int, title: str) -> AuditPicture:
    """One attack's reconstruction of a private image."""
    score, found = judged.score, judged.found
    index = image if score is None else score.order[image]
    caption = () if score is None else _caption(score.images[image])
    return AuditPicture(
        found.trial.label, _png(found.images[index]), (title, *caption) if title else tuple(caption)
    )


def _caption(score: ImageScore) -> list[str]:
    lines = [] if score.ssim is None else [f"SSIM {score.ssim:.2f}"]
    return [*lines, f"PSNR {score.psnr:.1f} dB", f"place {score.place:,}"]


def _png(image: Tensor) -> str:
    """An image (C, H, W) in [0, 1] as a data URL."""
    pixels = (image * 255).round().byte()
    if len(pixels) not in (1, 3):
        # What has other channels than colors is shown by their mean.
        pixels = (image.mean(dim=0, keepdim=True) * 255).round().byte()
    array = pixels.permute(1, 2, 0).numpy()
    stream = io.BytesIO()
    Image.fromarray(array[:, :, 0] if array.shape[2] == 1 else array).save(stream, format="PNG")
    return "data:image/png;base64," + base64.b64encode(stream.getvalue()).decode("ascii")
