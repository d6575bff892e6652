"""Settings of what a deviator gains."""

from pma_replication.settings import ExactPopulations


class Nash(ExactPopulations):
    """What a deviator gains in the N-agent game (C7)."""

    needs_features = True


SECTIONS = {"nash": Nash}
