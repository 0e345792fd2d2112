"""The W&B Report of a run."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import yaml
from wandb_workspaces.reports import v2

from gifd_bench.benchmark.report.finding import finding_of
from gifd_bench.benchmark.report.formats import means_as_markdown
from gifd_bench.benchmark.report.naming import Names
from gifd_bench.benchmark.report.summary import Summary, summaries_of
from gifd_bench.benchmark.results.rows import Row
from gifd_bench.benchmark.results.run_folder import RunFolder
from gifd_bench.benchmark.tracking.wandb import CELL, PAIRS, STEP, STRIPS, SUMMARY

wr: Any = v2  # Its types do not say what it exports.

# Metric in the summary of a cell's run, and the title of its bars.
BARS = {
    "psnr": "PSNR in dB (higher leaks more)",
    "ssim": "SSIM (higher leaks more)",
    "lpips_alex": "LPIPS, AlexNet (lower leaks more)",
    "identified": "share of images identified among others",
    "label_accuracy": "share of labels inferred correctly",
    "total_gradient_evaluations": "gradient evaluations spent",
}
CURVES = {
    "matching_loss": "matching loss of the iterate",
    "iterations_per_second": "iterations per second",
    "stage": "stage",
}
MEANS = (
    "Means over the images that are done, with their 95 % confidence intervals; bold: the best attack on a "
    "task under a defense, and those that a paired test cannot tell from it."
)
WIDTH = 24  # of a panel grid, in W&B's units
LONGEST_TITLE = 128


def build_report(run: RunFolder, rows: Sequence[Row], entity: str, project: str) -> Any:
    """The report of the runs that `WandbTracker` made of a matrix; no server is asked.

    Args:
        run: the run folder.
        rows: the rows of all of its cells.
        entity: the owner of the runs and of the report.
        project: the project of the runs and of the report.
    """
    matrix = run.load_matrix()
    done = sum(row.status == "done" for row in rows)
    several_stages = any(len(row.stages) > 1 for row in rows)
    blocks: list[Any] = [
        wr.TableOfContents(),
        wr.H1("What was found"),
        wr.P(f"{len(rows)} cells, {done} of them done."),
        *(wr.P(sentence) for sentence in found(rows)),
        wr.MarkdownBlock(f"{MEANS}\n\n{means_as_markdown(rows)}"),
        wr.H1("What leaks"),
        wr.P("Bars are W&B's own means over cells, with their standard error; the intervals are above."),
        wr.H2("By attack and defense"),
        _grid(matrix.name, project, _bars(), ["config.defense", "config.attack"]),
        wr.H2("By attack"),
        _grid(matrix.name, project, _bars(), ["config.attack"]),
        wr.H1("Truth and reconstruction"),
        _grid(matrix.name, project, [_gallery(PAIRS)]),
    ]
    if several_stages:
        blocks += [wr.H1("Stage by stage"), _grid(matrix.name, project, [_gallery(STRIPS)])]
    blocks += [
        wr.H1("While attacking"),
        wr.P("None of these curves has seen the truth."),
        _grid(matrix.name, project, _curves(), ["config.attack"]),
        wr.H1("Every cell"),
        _grid(matrix.name, project, [_table("cells")], job_type=SUMMARY),
        wr.H1("Reproduction"),
        wr.MarkdownBlock(reproduction(matrix.config(), rows)),
    ]
    title = f"gifd-bench: {matrix.name}"[:LONGEST_TITLE]
    return wr.Report(entity=entity, project=project, title=title, blocks=blocks, width="fluid")


def found(rows: Sequence[Row]) -> list[str]:
    """What the report of the run says first, task by task."""
    names = Names.of(rows)
    by_task: dict[str, list[Summary]] = {}
    for summary in summaries_of(rows):
        by_task.setdefault(summary.group.task, []).append(summary)
    findings = [finding for of_task in by_task.values() if (finding := finding_of(of_task, names))]
    several = len(by_task) > 1
    return [
        f"{finding.task}: {sentence}" if several else sentence
        for finding in findings
        for sentence in finding.sentences
    ]


def spec_of(report: Any) -> dict[str, Any]:
    """A report as W&B stores it, in JSON values."""
    # There is no public way to a report's spec that does not ask a server.
    spec: dict[str, Any] = json.loads(report._to_model().model_dump_json(by_alias=True))
    return spec


def reproduction(matrix: dict[str, Any], rows: Sequence[Row]) -> str:
    """How to make the same results again, in Markdown: versions, commit, machine and every setting."""
    seen = [row.circumstances for row in rows if row.circumstances.get("gifd-bench")]
    names = sorted({name for circumstances in seen for name in circumstances})
    lines = [f"- {name}: {', '.join(sorted({str(c[name]) for c in seen if name in c}))}" for name in names]
    settings = yaml.safe_dump(matrix, sort_keys=False)
    return "\n".join(
        [
            "Made with:",
            "",
            *(lines or ["- no cell has ended yet"]),
            "",
            "Every setting of the matrix, resolved:",
            "",
            f"```yaml\n{settings}```",
        ]
    )


def _grid(
    matrix: str, project: str, panels: list[Any], groups: Sequence[str] = (), job_type: str = CELL
) -> Any:
    runs = wr.Runset(
        # No entity: with both, wandb-workspaces asks the server. The report's own is taken.
        project=project,
        name=f"{matrix}, {job_type}",
        filters=f"Group == '{matrix}' and JobType == '{job_type}'",
        groupby=list(groups),
    )
    return wr.PanelGrid(runsets=[runs], panels=panels)


def _bars() -> list[Any]:
    half = WIDTH // 2
    return [
        wr.BarPlot(
            title=title,
            metrics=[metric],
            groupby_aggfunc="mean",
            groupby_rangefunc="stderr",
            layout=wr.Layout(x=half * (number % 2), y=8 * (number // 2), w=half, h=8),
        )
        for number, (metric, title) in enumerate(BARS.items())
    ]


def _curves() -> list[Any]:
    third = WIDTH // len(CURVES)
    return [
        wr.LinePlot(
            title=title,
            x=STEP,
            y=[metric],
            title_x="iteration",
            log_y=metric == "matching_loss",
            layout=wr.Layout(x=third * number, y=0, w=third, h=8),
        )
        for number, (metric, title) in enumerate(CURVES.items())
    ]


def _gallery(key: str) -> Any:
    return wr.MediaBrowser(title=key, media_keys=[key], num_columns=4, layout=wr.Layout(w=WIDTH, h=14))


def _table(key: str) -> Any:
    return wr.WeavePanelSummaryTable(table_name=key, layout=wr.Layout(w=WIDTH, h=14))
