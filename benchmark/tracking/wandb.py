"""Tracking to Weights & Biases."""

from __future__ import annotations

import os

import torch
from pytorch_lightning.loggers import Logger, WandbLogger

from benchmark.inversion.reconstruction import Reconstruction
from benchmark.matrix.cell import Cell
from benchmark.results.cell_folder import CellFolder
from benchmark.scoring.scorer import Scores
from benchmark.tracking.base import LoggerTracker
from tasks.truth import Truth

PROJECT = "gifd-bench"


class WandbTracker(LoggerTracker):
    """One W&B run a cell, grouped by matrix; offline where WANDB_API_KEY is not set."""

    def logger(self, matrix: str, cell: Cell, folder: CellFolder) -> Logger:
        folder.tracking.mkdir(parents=True, exist_ok=True)
        labels = [cell.task.label, cell.defense.label, cell.attack.label]
        return WandbLogger(
            name="-".join([*labels, f"target{cell.target}", f"seed{cell.seed}"]),
            save_dir=folder.tracking,
            id=cell.id,
            project=PROJECT,
            offline="WANDB_API_KEY" not in os.environ,
            group=matrix,
            tags=labels,
            config=cell.config(),
            settings={"silent": True, "console": "off"},
        )

    def finish(
        self, logger: Logger | None, reconstruction: Reconstruction, scores: Scores, truth: Truth
    ) -> None:
        assert isinstance(logger, WandbLogger)
        order = scores.assignment
        pairs = torch.cat([truth.images, reconstruction.images[order]], dim=-1)
        logger.log_image(
            "truth and reconstruction",
            [pair.permute(1, 2, 0).numpy() for pair in pairs],
            step=len(reconstruction.curve),
            caption=[f"{psnr:.2f} dB" for psnr in scores.per_image["psnr"] or []],
        )
        super().finish(logger, reconstruction, scores, truth)
        logger.experiment.finish()
