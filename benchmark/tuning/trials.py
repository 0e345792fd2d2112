"""A trial: an attack with drawn options, run on the tuning images and scored by what leaked."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean

from optuna.trial import Trial

from gifd_bench.benchmark.display import Display
from gifd_bench.benchmark.errors import BenchmarkError
from gifd_bench.benchmark.launch.worker import WorkerSettings, run_cells
from gifd_bench.benchmark.matrix.component import Component
from gifd_bench.benchmark.matrix.config import Matrix
from gifd_bench.benchmark.matrix.defense import DefenseConfig
from gifd_bench.benchmark.matrix.unmet import options_of
from gifd_bench.benchmark.results.rows import rows_of
from gifd_bench.benchmark.results.run_folder import RunFolder
from gifd_bench.benchmark.tuning.study import TrialDraw
from gifd_bench.tasks.stated import stated


@dataclass(frozen=True)
class TunedAttack:
    """What is tuned: an attack against a defense.

    Attributes:
        matrix: the matrix whose task, prior, targets and seeds are used.
        defense, attack: a defense and an attack of that matrix.
        prior_stages: names of the stages of the matrix's prior; empty if the attack needs none.
        evaluations: the largest number of gradient evaluations of each inversion.
        folder: a folder for the trials' runs, which are removed as soon as they are scored.
        display: shows each inversion.
        pack: the number of targets that may share an inversion, as in `gifd-bench run --pack`.
    """

    matrix: Matrix
    defense: DefenseConfig
    attack: Component
    prior_stages: tuple[str, ...]
    evaluations: int
    folder: Path
    display: Display
    pack: int = 1

    def drawn(self, draw: TrialDraw, evaluations: int) -> Component:
        """The attack with the options of a trial, under a budget."""
        options = options_of(self.attack).tuned(draw, evaluations, self.prior_stages)
        return self.attack.with_options(stated(options))

    def score(self, trial: Trial) -> float:
        """The mean PSNR in dB over the images of all targets and seeds.

        Raises:
            BenchmarkError: a cell failed, or cannot run.
            KeyboardInterrupt: the run was asked to stop; it can be continued.
        """
        # By what it tries, so that a run that was interrupted is found again.
        attack = self.drawn(TrialDraw(trial), self.evaluations)
        matrix = replace(
            self.matrix, defenses=(self.defense,), attacks=(attack,), excludes=(), overrides=()
        )
        run = RunFolder(self.folder / next(matrix.cells()).id)
        run.open_for(matrix)
        if not run_cells(
            run, matrix, WorkerSettings(pack=self.pack), lambda _: self.display, ends_process=False
        ):
            raise KeyboardInterrupt
        rows = rows_of(run)
        found = [row.psnr for row in rows if row.psnr is not None]
        reason = next((row.reason for row in rows if row.status != "done"), None)
        # The record is the storage; observations of a large victim would fill the disk.
        shutil.rmtree(run.path)
        if len(found) < len(rows):
            raise BenchmarkError(f"{self.attack.label}: {reason}")
        return fmean(found)
