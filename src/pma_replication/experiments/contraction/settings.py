"""Settings of exact PMA from several starts."""

from pma_replication.settings import Count, Games, Positives, Section, key


class Contraction(Section):
    """C1c, C1d: exact PMA from several starts, and the rate that its Jacobian predicts."""

    games: Games
    step_sizes: Positives = key(
        "step sizes η of exact PMA; a rate can be fitted where PMA takes tens of iterations", "1/ρ"
    )
    n_starts: Count = key("initial policies: the uniform one and random ones")
    max_iterations: Count = key("PMA iterations per run")


SECTIONS = {"contraction": Contraction}
