"""Settings of exact methods side by side."""

from pma_replication.settings import Count, Games, Section, key


class Dynamics(Section):
    """C2, a figure: exact PMA beside best response, fictitious play and mirror descent."""

    games: Games
    n_starts: Count = key("random initial policies, the same for every method")
    max_iterations: Count = key("iterations of a run that neither settles nor cycles; 64 are needed to see a cycle")


SECTIONS = {"dynamics": Dynamics}
