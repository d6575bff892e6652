"""Settings of the plane of strength and step size."""

from pma_replication.settings import Games, Grid, Natural, Section, key


class Phase(Section):
    """The plane of strength and step size (C1b, C1e, C1f)."""

    needs_features = True

    games: Games
    strengths: Grid = key("weights of both regularizers", "reward")
    relative_step_sizes: Grid = key("step sizes η", "1/strength")
    n_probes: Natural = key("points of each region, regularizer and mirror map where PMA itself is run from nearby")


SECTIONS = {"phase": Phase}
