"""Libraries that only some commands need: the extras of this package."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec

from gifd_bench.common.errors import UserError


@dataclass(frozen=True)
class Extra:
    """A library that is installed only if somebody asks for it.

    Attributes:
        name: the name of the extra, as in `pip install 'gifd-bench[NAME]'`.
        library: the name of the library, as people write it.
        module: the module that the library is imported by.
    """

    name: str
    library: str
    module: str

    def require(self, purpose: str) -> None:
        """Check that the library is installed, without importing it.

        Args:
            purpose: what needs the library; the beginning of a sentence.

        Raises:
            UserError: the library is not installed; the message says how to install it.
        """
        if find_spec(self.module) is None:
            raise UserError(f"{purpose} needs {self.library}: pip install 'gifd-bench[{self.name}]'")


ACCOUNTING = Extra("accounting", "Opacus", "opacus")
SLURM = Extra("slurm", "submitit", "submitit")
TENSORBOARD = Extra("tensorboard", "TensorBoard", "tensorboard")
TUNE = Extra("tune", "Optuna", "optuna")
WANDB_REPORTS = Extra("wandb-reports", "wandb-workspaces", "wandb_workspaces")
EXTRAS = (ACCOUNTING, SLURM, TENSORBOARD, TUNE, WANDB_REPORTS)
