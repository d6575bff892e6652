"""Settings of games with several equilibria."""

from pma_replication.settings import Count, Games, Positives, Section, key


class Basins(Section):
    """C2-coordination, C2-departure: which of several equilibria PMA leaves and reaches."""

    games: Games
    step_sizes: Positives = key("step sizes η of PMA started next to the equilibrium", "1/ρ")
    n_starts: Count = key("random initial policies, the same for every step size")
    max_iterations: Count = key("iterations of a run that neither settles nor cycles; 64 are needed to see a cycle")


SECTIONS = {"basins": Basins}
