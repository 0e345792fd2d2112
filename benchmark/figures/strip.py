"""Private images beside what attacks made of them."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from torch import Tensor

from gifd_bench.benchmark.figures.style import PAGE
from gifd_bench.benchmark.figures.subject import FigureSubject
from gifd_bench.benchmark.report.opening import caption, row_of, shown_attacks, telling_images
from gifd_bench.benchmark.results.rows import Row

# The room above a line of pictures for its heading, and below it for their captions, in inches.
HEADING, CAPTION = 0.45, 0.26


def strip(subject: FigureSubject) -> Figure:
    """The images that the best attack read best, worst and in between.

    The truth comes first, then every attack, under the settings with which the report opens.
    """
    finding = subject.finding
    attacks = shown_attacks(finding.opened)
    images = telling_images(finding.opened.best)
    columns = 1 + len(attacks) * len(finding.settings)
    side = PAGE / columns
    figure = Figure(
        figsize=(PAGE, HEADING + len(images) * (side + CAPTION)),
        layout=ConstrainedLayoutEngine(w_pad=0.01, h_pad=0.01, wspace=0.02, hspace=0.02),
    )
    panels = figure.subplots(len(images), columns, squeeze=False)
    for line, (_, row, image) in zip(panels, images, strict=True):
        _show(line[0], subject.run.truth(row.cell).images[image], ())
        places = iter(line[1:])
        for setting in finding.settings:
            for attack in attacks:
                found = row_of(setting, attack, row)
                panel = next(places)
                _show(panel, *((None, ("–",)) if found is None else _answer(subject, found, image)))
    panels[0][0].set_title("truth")
    for number, setting in enumerate(finding.settings):
        for place, attack in enumerate(attacks):
            name = subject.names.attack(attack)
            title = f"{setting.name}\n{name}" if place == 0 else f"\n{name}"
            panels[0][1 + number * len(attacks) + place].set_title(title, loc="left", fontsize=6.5)
    return figure


def _answer(subject: FigureSubject, row: Row, image: int) -> tuple[Tensor, tuple[str, ...]]:
    return subject.run.cell(row.cell).images()[row.assignment[image]], caption(row, image)


def _show(panel: Axes, image: Tensor | None, texts: tuple[str, ...]) -> None:
    panel.set_xticks([])
    panel.set_yticks([])
    for spine in panel.spines.values():
        spine.set_visible(False)
    if image is not None:
        panel.imshow(image.permute(1, 2, 0).numpy(), interpolation="nearest")
    panel.set_xlabel("\n".join(texts), fontsize=6.5, labelpad=2)
