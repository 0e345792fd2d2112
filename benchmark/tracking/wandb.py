"""Tracking to Weights & Biases."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, ClassVar

from pytorch_lightning.loggers import WandbLogger

from gifd_bench.benchmark.inversion.reconstruction import Reconstruction
from gifd_bench.benchmark.matrix.cell import Cell
from gifd_bench.benchmark.results.cell_folder import CellFolder
from gifd_bench.benchmark.results.run_folder import RunFolder
from gifd_bench.benchmark.scoring.scorer import Scores
from gifd_bench.benchmark.tracking.base import Tracker, axes_of, final_numbers, run_name
from gifd_bench.benchmark.tracking.pictures import pairs, strips
from gifd_bench.benchmark.tracking.wandb_settings import away_from_home, online, project
from gifd_bench.benchmark.tracking.wandb_summary import WandbSummary
from gifd_bench.common.errors import one_line
from gifd_bench.tasks.truth import Truth

CELL, SUMMARY = "cell", "summary"
PAIRS, STRIPS, STAGE_TABLE = "truth and reconstruction", "stages", "psnr by stage"
COURSE_TABLE = "what was found by when"
STEP = "trainer/global_step"  # Lightning's name of the iteration, the axis of all curves
LONGEST_TAG = 64
CONNECT_SECONDS, UPLOAD_SECONDS = 30.0, 60.0


class WandbTracker(Tracker):
    """One W&B run for each cell, with the cell's id, grouped by matrix; and one with tables of all cells.

    Runs are kept as files if there is no key, and from the first failure to connect on; `gifd-bench sync`
    uploads them. Nothing is written to the home directory.

    Args:
        offline: whether never to connect; `None` decides by whether there is a key, and by WANDB_MODE.
    """

    wants_curves: ClassVar[bool] = True

    def __init__(self, offline: bool | None = None) -> None:
        self._offline = not online() if offline is None else offline
        self._logger: WandbLogger | None = None
        self._folder: CellFolder | None = None
        self._scope = ExitStack()
        self._known = -1

    def begin(self, matrix: str, cell: Cell, folder: CellFolder) -> None:
        axes = axes_of(cell)
        tags = {str(axes[axis])[:LONGEST_TAG] for axis in ("task", "defense", "prior", "attack")}
        self._folder = folder
        self._start(
            folder.tracking,
            name=run_name(cell),
            id=cell.id,
            group=matrix,
            job_type=CELL,
            tags=sorted(tags - {"none"}),
            config={**axes, "matrix": matrix, "cell": cell.config()},
        )

    def log(self, numbers: Mapping[str, float], iteration: int) -> None:
        if iteration > self._known:
            self.logger.log_metrics(dict(numbers), step=iteration)

    def finish(self, reconstruction: Reconstruction, scores: Scores, truth: Truth) -> None:
        step = len(reconstruction.curve)
        for key, pictures in (
            (PAIRS, pairs(reconstruction, scores, truth)),
            (STRIPS, strips(reconstruction, scores, truth)),
        ):
            if pictures:
                captions = [picture.caption for picture in pictures]
                self.logger.log_image(key, [p.image for p in pictures], step=step, caption=captions)
        columns = ["stage", "psnr", "matching_loss", "gradient_evaluations"]
        data = [
            [stage.name, psnr, stage.matching_loss, stage.gradient_evaluations]
            for stage, psnr in zip(reconstruction.stages, scores.stage_psnr, strict=True)
        ]
        self.logger.log_table(STAGE_TABLE, columns=columns, data=data, step=step)
        if scores.moments:
            columns = ["gradient_evaluations", "seconds", "psnr", "identified", "matching_loss"]
            data = [[getattr(moment, name) for name in columns] for moment in scores.moments]
            self.logger.log_table(COURSE_TABLE, columns=columns, data=data, step=step)
        self.logger.experiment.summary.update(final_numbers(reconstruction, scores))

    def close(self) -> None:
        logger, folder = self._logger, self._folder
        self._logger = self._folder = None
        with self._scope:
            if logger is not None and folder is not None:
                record = folder.read() if folder.ended() else None
                status, reason = (record.status, record.reason) if record else ("interrupted", None)
                logger.experiment.summary.update({"status": status, "reason": reason})
                logger.experiment.finish(exit_code=0 if status == "done" else 1)

    def summarize(self, run: RunFolder) -> None:
        """Write the summary run, unless nothing has changed since the last one."""
        summary = WandbSummary(run)
        if not summary.is_news():
            return
        with self._scope:
            self._start(
                summary.folder,
                name=f"summary of {summary.matrix.name}",
                id=summary.id,
                group=summary.matrix.name,
                job_type=SUMMARY,
                tags=[SUMMARY],
                config={"matrix": summary.matrix.name, "settings": summary.matrix.config()},
            )
            logger, self._logger = self.logger, None
            try:
                for key, table in summary.tables().items():
                    logger.log_table(key, columns=table.columns, data=table.data)
                logger.experiment.summary.update(summary.counts())
            finally:
                logger.experiment.finish()
        summary.keep()

    @property
    def logger(self) -> WandbLogger:
        """The logger of the run that has begun."""
        assert self._logger is not None
        return self._logger

    def _start(self, folder: Path, **settings: Any) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._scope.enter_context(away_from_home(folder))
        try:
            self._logger = self._connect(folder, settings)
        except Exception as error:
            if self._offline:
                raise
            sys.stderr.write(
                f"gifd-bench: W&B cannot be reached ({one_line(error)}); from here on runs are files; "
                "`gifd-bench sync` uploads them\n"
            )
            self._offline = True
            self._logger = self._connect(folder, settings)
        run = self._logger.experiment
        # A server still has what it was sent before an interruption.
        self._known = int(run.summary.get(STEP, -1)) if run.resumed else -1

    def _connect(self, folder: Path, settings: dict[str, Any]) -> WandbLogger:
        import wandb  # Half a second, which no other tracker needs to wait for.

        # Not by the logger itself: it would attach to any other run of this process, and after an offline
        # run set the environment so that all to come are.
        run = wandb.init(
            dir=folder,
            project=project(),
            mode="offline" if self._offline else "online",
            resume="allow",
            settings=wandb.Settings(
                silent=True,
                console="off",
                init_timeout=CONNECT_SECONDS,
                finish_timeout=UPLOAD_SECONDS,
                finish_timeout_raises=True,
            ),
            **settings,
        )
        run.define_metric("*", step_metric=STEP)
        return WandbLogger(experiment=run)
