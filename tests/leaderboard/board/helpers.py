"""Entries that nobody submitted: folders as `gifd-bench leaderboard accept` leaves them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
import yaml

from gifd_bench.common.files import make_folder, write_json, write_tensors
from gifd_bench.leaderboard.entries import Entries, Entry
from gifd_bench.leaderboard.observation_set import checksum
from gifd_bench.leaderboard.protocol import Protocol
from gifd_bench.leaderboard.submission import schema
from gifd_bench.leaderboard.verification.report import (
    SCORING_VERSION,
    Check,
    Score,
    Verdict,
    Verification,
    write_verification,
)
from gifd_bench.tasks.truth import Truth
from tests.leaderboard import helpers

PROTOCOL = """
name: small
version: 1
title: Sixteen images
description: Eight photographs under two defenses.
budget: {gradient_evaluations: 100}
metrics: [psnr, ssim, lpips_vgg]
tasks:
  photos: {dataset: {use: photos, size: 32}, model: convnet}
defenses:
  none:
  noise: {use: gaussian_noise, std: 0.1}
targets: [0, 1, 2, 3, 4, 5, 6, 7]
seeds: [0]
"""

ABOUT: dict[str, Any] = {
    **helpers.ABOUT,
    "paper": "https://example.org/paper",
    "code": "https://example.org/code",
    "prior": None,
}


def write_protocol(folder: Path, **changes: Any) -> Path:
    """The protocol `small-v1` as a file."""
    path = folder / "small.yaml"
    path.write_text(yaml.safe_dump({**yaml.safe_load(PROTOCOL), **changes}))
    return path


def write_entry(
    entries: Path,
    protocol: Protocol,
    psnr: float | Sequence[float] = 20.0,
    *,
    only: Sequence[str] | None = None,
    metrics: Mapping[str, float | None] | None = None,
    checks: Sequence[Check] = (),
    reranked: bool = True,
    evaluations: int = 90,
    seconds: float | None = 2.5,
    how: Mapping[str, Any] | None = None,
    labels: tuple[str, str] | None = None,
    size: int = 32,
    **about: Any,
) -> Entry:
    """An accepted entry.

    Args:
        psnr: of every image, or one a image over all observations.
        only: the observations that it answers; null: all.
        metrics: others, the same for every image.
        checks: besides one that passed.
        reranked: whether the board made the images itself, which are darker than those that were submitted.
        how: the submission's `rerun`.
        labels: task and defense that the scores name, instead of the protocol's.
        about: what is other than in `ABOUT`.
    """
    said = schema.About.model_validate({**ABOUT, **about}, strict=True)
    folder = entries / protocol.key / said.attack / f"{said.version}_{said.date}"
    submission = folder / "submission"
    make_folder(submission / "reconstructions")
    file = {
        "format": schema.FORMAT,
        "protocol": protocol.key,
        "about": said.model_dump(mode="json"),
        "rerun": how,
    }
    (submission / "submission.yaml").write_text(yaml.safe_dump(file, allow_unicode=True))
    values = [psnr] * protocol.images if isinstance(psnr, float) else list(psnr)
    generator = torch.Generator().manual_seed(len(said.attack) + sum(map(ord, said.attack)))
    results, scores, files = {}, {}, {}
    for name, one in protocol.rounds.items():
        count = one.task.settings.images
        own, values = values[:count], values[count:]
        if only is not None and name not in only:
            continue
        path = submission / "reconstructions" / f"{name}.safetensors"
        pixels = torch.randint(256, (count, 3, size, size), generator=generator, dtype=torch.uint8)
        write_tensors(path, {"images": pixels, "labels": torch.zeros(count, dtype=torch.int64)})
        if reranked:
            own_file = folder / "rerun" / path.name
            make_folder(own_file.parent)
            write_tensors(
                own_file, {"images": pixels // 2, "labels": torch.zeros(count, dtype=torch.int64)}
            )
            files[f"rerun/{path.name}"] = checksum(own_file)
        results[name] = {
            "sha256": checksum(path),
            "observation": "0" * 64,
            "fingerprint": [0.0] * 16,
            "gradient_evaluations": evaluations,
            "matching_loss": 0.01,
            "seconds": seconds,
        }
        others = {"ssim": 0.5, "lpips_vgg": None, **(metrics or {})}
        scores[name] = Score(
            task=labels[0] if labels else one.task.label,
            defense=labels[1] if labels else one.defense.label,
            metrics={
                "psnr": own,
                **{k: None if value is None else [value] * count for k, value in others.items()},
            },
            matching_loss=0.01,
            gradient_evaluations=evaluations,
            seconds=seconds,
        )
    write_json(submission / "results.json", {"results": results})
    passed = Check(name="files", verdict=Verdict.PASSED, detail="all there")
    verification = Verification(
        protocol=protocol.key,
        scoring=SCORING_VERSION,
        checks=[passed, *checks],
        complete=only is None,
        rerun=len(scores) if reranked else 0,
        scores=scores,
        claims=scores if reranked else {},
        files=files,
    )
    write_verification(folder / "verification.json", verification)
    return Entry(folder)


def small_board(entries: Path, protocol: Protocol) -> Entries:
    """Ten entries of eight attacks: ranked and not, with and without priors, two not to be told apart."""
    flag = Check(name="matching_loss", verdict=Verdict.FLAGGED, detail="higher than that of another image")
    prior = {"name": "BigGAN", "training_data": "ImageNet"}
    near = [30.0, 25.0, 35.0, 28.0, 24.0, 31.0, 27.0, 33.0] * 2
    apart = (-3, 1, 1, -2, 2, -1, 1, -1.5) * 2
    write_entry(entries, protocol, near, attack="first", prior=prior, evaluations=100)
    write_entry(entries, protocol, [v + d for v, d in zip(near, apart, strict=True)], attack="also-first")
    write_entry(entries, protocol, 22.0, attack="third", evaluations=40, metrics={"lpips_vgg": 0.3})
    write_entry(entries, protocol, 9.0, attack="last", evaluations=10, seconds=None)
    write_entry(entries, protocol, 40.0, attack="third", version="0.9", date="2025-12-01")
    write_entry(entries, protocol, 50.0, attack="partial", only=["000", "001"])
    write_entry(entries, protocol, 60.0, attack="odd", checks=[flag], prior=prior)
    write_entry(
        entries, protocol, 15.0, attack="fourth", authors=["Ä. Müller", "B. Writer"], hardware="H200"
    )
    write_entry(entries, protocol, 5.0, attack="first", version="0.10", only=["000"])
    write_entry(entries, protocol, 70.0, attack="claimant", reranked=False)
    return Entries(entries)


def truths_of(protocol: Protocol) -> dict[str, Truth]:
    """The private images of the photographs' protocol."""
    task = next(iter(protocol.rounds.values())).task.build()
    return {name: task.truth(one.target) for name, one in protocol.rounds.items()}
