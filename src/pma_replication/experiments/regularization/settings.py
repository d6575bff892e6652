"""Settings of what regularization costs, and of learning with less and less of it."""

from pma_replication.settings import (
    Agents,
    Count,
    Fractions,
    Games,
    Positive,
    Positives,
    Replicates,
    Section,
    key,
)


class Regularization(Section):
    """C10-price: what regularization costs along the path to a millionth of the rewards' range, and what is stable."""

    games: Games


class Annealing(Section):
    """C10-annealing: learning with a strength that halves from epoch to epoch, against the last one from the start."""

    games: Games
    accuracies: Fractions = key("unregularized exploitabilities to which samples are counted", "range of the rewards")
    ascent_steps: Positives = key("η; each way of learning takes the one that serves it best", "1/range of the rewards")
    n_epochs: Count = key("K")
    relative_updates: Positive = key(
        "M_td, in units of 1/((1 − γ)d), d the least visit probability under the uniform policy"
    )
    n_agents: Agents = key("N")
    n_pilots: Count = key("runs with each step size before, with random numbers of their own")
    n_replicates: Replicates = key("independent runs of each way of learning")


SECTIONS = {"regularization": Regularization, "regularization_annealing": Annealing}
