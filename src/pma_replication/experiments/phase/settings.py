"""Settings of the plane of strength and step size."""

from pma_replication.settings import Games, Grid, Natural, Section, key


class Phase(Section):
    """C1b-radius, C1e, C1f: for which strengths and step sizes PMA is certified, or converges nearby."""

    needs_features = True

    games: Games
    strengths: Grid = key("weights of both regularizers", "reward")
    step_sizes: Grid = key("step sizes η", "1/ρ")
    n_probes: Natural = key("points of each region, regularizer and mirror map where PMA itself is run from nearby")


SECTIONS = {"phase": Phase}
