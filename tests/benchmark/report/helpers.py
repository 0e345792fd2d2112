"""Run folders with results that no attack has made: fast, and of any size."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gifd_bench.benchmark.inversion.reconstruction import Reconstruction, StageResult
from gifd_bench.benchmark.matrix.cell import Cell
from gifd_bench.benchmark.matrix.config import Matrix
from gifd_bench.benchmark.results.record import DistractorRecord
from gifd_bench.benchmark.results.rows import Row, rows_of
from gifd_bench.benchmark.results.run_folder import RunFolder
from gifd_bench.benchmark.scoring.scorer import Scores
from tests.rounds import make_round

SKIPPED, FAILED, PENDING = "skipped", "failed", "pending"


@dataclass(frozen=True)
class Answer:
    """What a cell is to have ended with: PSNR of each image and of each stage, and the loss curve.

    The images of stage k are those of the truth, darkened to k + 1 parts of as many as there are stages."""

    psnr: tuple[float, ...]
    stages: tuple[float, ...] = ()
    curve: tuple[float, ...] = (0.2, 0.1)
    lpips: tuple[float, ...] | None = None
    identified: tuple[float, ...] | None = None


Outcome = Callable[[Cell], Answer | str]


def finish(matrix: Matrix, output: Path, outcome: Outcome, reason: str = "because") -> RunFolder:
    """A run folder in which every cell has ended as told: an answer, or a status."""
    run = RunFolder(output)
    run.open_for(matrix)
    observation, truth = make_round(matrix.tasks[0].settings.batch_size)
    for cell in matrix.cells():
        if not run.observation(cell).is_file():
            run.write_round(cell, observation, truth)
        answer, folder = outcome(cell), run.cell(cell)
        if answer == PENDING:
            continue
        folder.begin(cell)
        if answer == SKIPPED:
            folder.write_skipped(reason)
        elif answer == FAILED:
            folder.write_failed(reason, "Traceback", 1.0)
        elif isinstance(answer, Answer):
            reconstruction = _reconstruction(truth.images, answer)
            folder.write_reconstruction(reconstruction)
            folder.write_done(reconstruction, _scores(answer), 2.0)
    return run


def finished_rows(matrix: Matrix, output: Path, outcome: Outcome, **options: Any) -> list[Row]:
    return rows_of(finish(matrix, output, outcome, **options))


def _reconstruction(images: Tensor, answer: Answer) -> Reconstruction:
    labels = torch.zeros(len(images), dtype=torch.int64)
    count = max(1, len(answer.stages))
    stages = tuple(
        StageResult(
            "latent" if k == 0 else f"{2 * 2**k}x{2 * 2**k}",
            images * (k + 1) / count,
            labels,
            0.1,
            10 * (k + 1),
        )
        for k in range(count)
    )
    return Reconstruction(images, labels, 0.1, 10 * count, stages, torch.tensor(answer.curve))


def _scores(answer: Answer) -> Scores:
    ones = [1.0] * len(answer.psnr)
    per_image: dict[str, list[float] | None] = {
        "psnr": list(answer.psnr),
        "ssim": [value / 100 for value in answer.psnr],
        "mse": ones,
        "feature_mse": ones,
        "label_accuracy": ones,
        "lpips_alex": list(answer.lpips) if answer.lpips else None,
        "lpips_vgg": None,
    }
    count = len(answer.psnr)
    mean = sum(answer.psnr) / count
    others = None
    if answer.identified is not None:
        others = DistractorRecord(1000, 1000)
        per_image |= {"identified": list(answer.identified), "identified_top5": ones}
    return Scores(per_image, list(range(count)), [], list(answer.stages) or [mean], others)
