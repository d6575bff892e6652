"""Settings of best response and PMA as the regularizer weakens."""

from typing import Annotated

from pydantic import Field

from pma_replication.settings import Count, Positives, Section, key


class Orbit(Section):
    """C2: where best response fails as the regularizer weakens, and PMA does not."""

    games: Annotated[dict[str, Positives], Field(min_length=1)] = key(
        "for each game the strengths of the regularizer, in place of its own", "reward"
    )
    step_shares: Positives = key(
        "step sizes η of PMA, in units of the one with the smallest spectral radius at the equilibrium; the smallest "
        "decides C2-cycle"
    )
    n_starts: Count = key("random initial policies, the same for every method, strength and step size")
    max_iterations: Count = key("iterations of a run that neither settles nor cycles; 64 are needed to see a cycle")


SECTIONS = {"orbit": Orbit}
