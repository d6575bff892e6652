"""Settings of what a deviator gains."""

from pma_replication.settings import ExactPopulations


class Nash(ExactPopulations):
    """What a deviator gains in the N-agent game (C7)."""

    tables = ("nash",)
    needs_features = True


SECTIONS = {"nash": Nash}
