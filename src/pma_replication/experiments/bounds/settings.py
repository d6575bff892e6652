"""Settings of the search for pairs that beat a Lipschitz bound."""

from pma_replication.settings import Count, Games, Natural, Positives, Section, key


class Bounds(Section):
    """C1a, C1b: whether any pair of policies beats a Lipschitz bound of the theory."""

    games: Games
    step_sizes: Positives = key("step sizes η of the mirror ascent step", "1/ρ")
    n_pairs: Count = key("random pairs searched per operator and step size")
    n_ascents: Natural = key("random pairs from which the Jacobian's norm is climbed, beside the uniform policy")


SECTIONS = {"bounds": Bounds}
