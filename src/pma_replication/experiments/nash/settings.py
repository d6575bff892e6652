"""Settings of what a deviator gains."""

from pma_replication.settings import ExactPopulations


class Nash(ExactPopulations):
    """C7: what one of N agents gains by deviating, exactly."""

    needs_features = True


SECTIONS = {"nash": Nash}
