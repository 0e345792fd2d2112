"""What tests over every bundled prior share."""

from __future__ import annotations

from pathlib import Path

import pytest

from gifd_bench.priors.registry import PRIORS
from tests.priors.small import SmallPrior, make_small


@pytest.fixture(params=PRIORS.names())
def small_prior(request: pytest.FixtureRequest, tmp_path: Path) -> SmallPrior:
    return make_small(request.param, tmp_path)
