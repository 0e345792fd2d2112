"""Statistics of scores: intervals of means, and tests on pairs."""
