"""An attack that never ends, hears no signal, and closes all that it could be heard by."""

from __future__ import annotations

import os
import signal

from gifd_bench.benchmark.attacks.ig import IG
from gifd_bench.benchmark.attacks.pixel_options import IGOptions


class Endless(IG):
    """No options besides IG's."""

    def __init__(self, options: IGOptions) -> None:
        super().__init__(options)
        for number in set(signal.Signals) - {signal.SIGKILL, signal.SIGSTOP}:
            signal.signal(number, signal.SIG_IGN)
        os.closerange(0, 64)
        while True:
            pass
