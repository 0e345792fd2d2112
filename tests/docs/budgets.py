"""How the documented commands are kept small, and which are not run, and why."""

from __future__ import annotations

# What a command is given besides, so that it takes seconds, by a pattern that the command matches. Options
# at the end of a line win over those before them. A command that no pattern matches fails the test.
ADDITIONS: dict[str, tuple[str, ...]] = {
    r"run demo\b": (
        "--targets=1",
        "--attacks.ig.iterations=2",
        "--attacks.latent.iterations=2",
        "--attacks.gifd.iterations=1",
        "--tasks.photos.model.width=2",
    ),
    r"run demo\b(?!.*--jobs)": ("--jobs=1",),
    r"run demo\b.*--pack": ("--targets=2",),
    r"--attacks\+=coarse.py:Coarse": ("--attacks.coarse.iterations=2",),
    r"plan \w+$": (),
    r"list\b": (),
    r"status\b": (),
    r"show\b": (),
    r"report\b": (),
    r"figure\b": (),
    r"priors\b": (),
    r"sample\b": ("--columns=2",),
    r"completion\b": (),
    r"observe\b.*--task.model.use=convnet": ("--task.model.width=2",),
    r"observe\b.*torchvision": (),
    r"observe --check\b": (),
    r"run my_matrix.yaml": ("--attacks.gifd.iterations=1", "--targets=1", "--jobs=1"),
    r"attack\b": ("--attack.iterations=1",),
    r"audit\b": ("--seconds=1", "--attacks", "ig"),
    r"tradeoff demo\b": (
        "--targets=1",
        "--attacks.ig.iterations=2",
        "--attacks.latent.iterations=2",
        "--attacks.gifd.iterations=1",
        "--tasks.photos.model.width=2",
        "--training-seeds=1",
        "--distractors=5",
        "--batch-size=5",
        "--jobs=1",
    ),
    r"tradeoff tradeoff\b": (
        "--excludes="
        '[{"defenses": ["noise", "dp_sgd", "sparsification", "soteria", "quantisation", "top_k"]}]',
        "--targets=1",
        "--attacks.ig.iterations=1",
        "--attacks.ggl.iterations=1",
        "--attacks.gifd.iterations=1",
        "--tasks.convnet.model.width=2",
        "--training-seeds=1",
        "--epochs=1",
        "--limit=8",
        "--held-out=8",
        "--distractors=5",
        "--batch-size=8",
        "--jobs=1",
    ),
    r"tune\b": (
        "--trials=1",
        "--evaluations",
        "8",
        "500",
        "--targets=1",
        *(f"--attacks.{name}.use=ig" for name in ("gi", "ggl", "gias", "gion", "latent", "gifd")),
    ),
    r"tune tuning\b": ("--tasks.convnet.model.width=2",),
    r"utility\b": ("--epochs=1", "--limit=8", "--batch-size=8"),
    r"utility defenses\b": ("--tasks.convnet.model.width=2",),
    r"check my_(defense|dataset|model|net|prior|metric|rule).py": (),
    r"check ig\b": ("--iterations=2",),
    r"check coarse.py": ("--size=4",),
    r"leaderboard build\b": (),
    r"speed\b": ("--iterations=2", "--turns=1", "--victims=convnet", "--attacks=ig", "--lanes=1"),
    r"train-prior\b": (
        "--steps=2",
        "--save_every=2",
        "--batch_size=8",
        "--channels=[4,4,4,4]",
        "--discriminator_channels=[4,4,4,4]",
        "--classifier_epochs=1",
        "--bfloat16=false",
    ),
}

# What Python code asks for, and what it is given here.
SMALLER = {"iterations=100": "iterations=1", "iterations=300": "iterations=1"}

# Commands that are not run, and why.
EXEMPT = {
    "make study": "takes hours: test_study.py attacks a part of its images again",
    "make demo": "makes a virtual environment and installs: CI does so, from nothing",
}
