"""Attacking one observation, with the function that all commands, the runner and the verifier use."""

from __future__ import annotations

import itertools
import logging
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import Callback
from pytorch_lightning.utilities.exceptions import SIGTERMException
from pytorch_lightning.utilities.seed import isolate_rng

from gifd_bench.benchmark.attacks.base import Attack
from gifd_bench.benchmark.errors import BenchmarkError
from gifd_bench.benchmark.inversion.reconstruction import Reconstruction
from gifd_bench.common.errors import one_line
from gifd_bench.common.files import written_whole
from gifd_bench.common.threads import operation_threads
from gifd_bench.priors.base import Prior
from gifd_bench.tasks.observation import Observation


class InversionInterrupted(Exception):
    """The inversion was asked to stop; its checkpoint has been written."""


class Checkpoint(Callback):
    """Writes a checkpoint at regular times, and one at the next iteration after a request to stop.

    Lightning's OnExceptionCheckpoint could save an inversion between its step and its projection; this one
    only saves whole iterations.

    Args:
        path: the path of the file, which is replaced as a whole.
        seconds: the time between checkpoints.
        stop: is called after every iteration; if it returns true, the inversion ends.
        of: the name of the inversion; a checkpoint of another inversion is not used.
    """

    def __init__(self, path: Path, seconds: float, stop: Callable[[], bool], of: str = "") -> None:
        self.path, self.seconds, self.stop, self.of = path, seconds, stop, of
        self._spent_before = 0.0
        self._began = self._saved = time.monotonic()

    def spent(self) -> float:
        """Wall-clock time of the inversion in seconds, including the time before an interruption."""
        return self._spent_before + time.monotonic() - self._began

    def on_train_batch_end(self, trainer: pl.Trainer, *args: object) -> None:
        stopping = self.stop()
        if stopping or time.monotonic() - self._saved > self.seconds:
            self._write(trainer)
        if stopping:
            raise InversionInterrupted

    def on_exception(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException
    ) -> None:
        # Lightning looks for a SIGTERM itself, after the hook above, when the iteration is whole too.
        if isinstance(exception, SIGTERMException):
            self._write(trainer)

    def _write(self, trainer: pl.Trainer) -> None:
        with written_whole(self.path) as partial:
            trainer.save_checkpoint(partial)
        self._saved = time.monotonic()

    def drop_if_doubtful(self) -> str | None:
        """Remove a checkpoint from which no inversion can continue.

        Returns:
            Why it was removed; `None` if it is sound, or there is none.
        """
        doubt = self._doubt() if self.path.exists() else None
        if doubt is not None:
            self.path.unlink()
        return doubt

    def _doubt(self) -> str | None:
        try:
            with ZipFile(self.path) as file:
                # torch writes a checksum of every part, and does not look at it.
                damaged = file.testzip()
            if damaged is not None:
                return f"its checkpoint is damaged ({damaged})"
            content = torch.load(self.path, map_location="cpu", weights_only=True)
            of = content["callbacks"][self.state_key].get("of", self.of)
        except Exception as error:  # Whatever lies there, it is no checkpoint.
            return f"its checkpoint is damaged ({one_line(error)[:200] or type(error).__name__})"
        return None if of == self.of else "its checkpoint is of another inversion"

    def state_dict(self) -> dict[str, Any]:
        return {"spent": self.spent(), "of": self.of}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._spent_before = state_dict["spent"]


def invert(
    attack: Attack,
    observation: Observation,
    prior: Prior | None,
    seed: int,
    *,
    threads: int = 1,
    checkpoint: Checkpoint | None = None,
    callbacks: Sequence[Callback] = (),
    accelerator: str = "auto",
) -> Reconstruction:
    """Run an attack on an observation.

    The same arguments give the same bytes on the same machine, whatever ran in this process before.

    Args:
        attack: an attack that was just made from its options.
        observation: everything that it sees.
        prior: the prior, for attacks that need one.
        seed: the seed of all its randomness.
        threads: threads of one operation on the CPU; another number may change the last bits.
        checkpoint: continues from this file if it exists, and keeps it up to date.
        callbacks: further callbacks for the Trainer.
        accelerator: the accelerator of the Trainer.

    Returns:
        The answer.

    Raises:
        InversionInterrupted: the checkpoint was asked to stop.
        UserError: the attack needs something that it is not given, or it has no answer.
    """
    (answer,) = invert_all(
        attack,
        [observation],
        prior,
        [seed],
        threads=threads,
        checkpoint=checkpoint,
        callbacks=callbacks,
        accelerator=accelerator,
    )
    if isinstance(answer, BenchmarkError):
        raise answer
    return answer


def invert_all(
    attack: Attack,
    observations: Sequence[Observation],
    prior: Prior | None,
    seeds: Sequence[int],
    *,
    threads: int = 1,
    checkpoint: Checkpoint | None = None,
    callbacks: Sequence[Callback] = (),
    accelerator: str = "auto",
) -> list[Reconstruction | BenchmarkError]:
    """Run an attack on several observations at once, as lanes of one inversion.

    The same arguments give the same bytes on the same machine. These bytes differ from those of one
    observation after another, because sums are rounded in another order.

    Args:
        attack: an attack that was just made from its options, and whose class `packs` if there are several
            observations.
        observations: everything that it sees, all of one victim; see
            `gifd_bench.benchmark.inversion.targets`.
        prior: the prior, for attacks that need one.
        seeds: the seed of all randomness, for each observation.
        threads: threads of one operation on the CPU; another number may change the last bits.
        checkpoint: continues from this file if it exists, and keeps it up to date.
        callbacks: further callbacks for the Trainer.
        accelerator: the accelerator of the Trainer.

    Returns:
        For each observation the answer, or an error in its place if there is none.

    Raises:
        InversionInterrupted: the checkpoint was asked to stop.
        UserError: the attack needs something that it is not given.
    """
    with operation_threads(threads), isolate_rng():
        # Whatever draws from the global generators (nothing of ours does) starts alike in every process.
        pl.seed_everything(0, verbose=False)
        attack.observe_all(observations, prior, seeds)
        # A checkpoint comes after the others, which may have something to say about the same iteration.
        used = [*callbacks, *([checkpoint] if checkpoint else [])]
        trainer = _trainer(attack.iterations, used, accelerator)
        resume = checkpoint.path if checkpoint and checkpoint.path.exists() else None
        with _quiet():
            # The data of an inversion is the observation, which the attack holds; what the Trainer
            # iterates over is only a count.
            try:
                trainer.fit(attack, itertools.count(), ckpt_path=resume, weights_only=True)
            except SIGTERMException as error:
                raise InversionInterrupted from error
        return [_answer(attack, target) for target in range(len(observations))]


def _answer(attack: Attack, target: int) -> Reconstruction | BenchmarkError:
    try:
        return attack.reconstruction(target)
    except BenchmarkError as error:
        return error


def _trainer(iterations: int, callbacks: list[Callback], accelerator: str) -> pl.Trainer:
    with _quiet():
        return pl.Trainer(
            max_steps=iterations,
            max_epochs=-1,
            accelerator=accelerator,
            devices=1,
            logger=False,
            callbacks=callbacks,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
        )


@contextmanager
def _quiet() -> Iterator[None]:
    """Without Lightning's advice about training, which does not apply here."""
    logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="pytorch_lightning")
        # Slurm's own command to start several processes is of no use to one.
        warnings.filterwarnings("ignore", module="lightning_fabric")
        yield
