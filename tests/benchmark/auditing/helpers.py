"""Small audits."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch

from gifd_bench.benchmark.auditing.owner import AttackScore, Distractors, ImageScore, Owned
from gifd_bench.benchmark.auditing.plan import Trial
from gifd_bench.benchmark.auditing.trials import Found
from gifd_bench.benchmark.auditing.verdict import JudgedAnswer
from gifd_bench.benchmark.self_check import Cause, ObservationCheck

SHAPE = (1, 3, 16, 16)
DOUBT = "the matching loss is 1: no candidate's update has anything in common with the one observed"
PHOTO = torch.linspace(0, 1, 768).reshape(SHAPE)


def found(label: str = "ig", **changes: Any) -> Found:
    trial = Trial(label, {"use": label, "label": label, "options": {}}, None, 1.0, 1.0)
    images, labels = torch.full(SHAPE, 0.5), torch.zeros(1, dtype=torch.int64)
    whole = Found(trial, images, labels, 0.01, 1000, 1.0, None, False, None)
    return replace(whole, **changes)


def judged(place: int, ssim: float | None, label: str = "ig", **changes: Any) -> JudgedAnswer:
    return JudgedAnswer(found(label, **changes), AttackScore((0,), (ImageScore(place, 20.0, ssim),)))


def owned(images: torch.Tensor = PHOTO) -> Owned:
    others = torch.rand(50, *SHAPE[1:], generator=torch.Generator().manual_seed(0))
    return Owned(images, torch.zeros(1, dtype=torch.int64), Distractors(others, "noise"))


def check(cause: Cause | None) -> ObservationCheck:
    return ObservationCheck(cause is None, 1.0, 1.0, cause, "because", ())
