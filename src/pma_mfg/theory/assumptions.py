"""What the paper assumes of a game, as computed quantities (docs/theory.md, section 4)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from pma_mfg.games.functions import FunctionGame, Game
from pma_mfg.regularizers import Regularizer
from pma_mfg.theory import invariant_sets, lipschitz


@dataclass(frozen=True)
class Quantity:
    """One number that an assumption is about.

    Parameters
    ----------
    assumption : int
        Its number, 0 for what follows from the six constants.
    quantity : str
        The number's name.
    value : float
    kind : str
        "exact", "upper bound", "lower bound" or "estimate".
    """

    assumption: int
    quantity: str
    value: float
    kind: str


def assumptions(game: Game, regularizer: Regularizer, step_size: float) -> list[Quantity]:
    """Return the quantities that the paper assumes of a game, each with what kind of number it is.

    Parameters
    ----------
    game : Game
    regularizer : Regularizer
    step_size : float
        eta, on which the least probability p_inf may depend.

    Returns
    -------
    list of Quantity
    """
    c = lipschitz.constants(game)
    p_inf, T_mix, delta_mix = 0.0, 1, 0.0  # what is known of a game given by functions
    if not isinstance(game, FunctionGame):
        p_inf = invariant_sets.least_probability(game, regularizer, step_size)
        T_mix, delta_mix = lipschitz.mixing(game, p_inf)
    known = "estimate" if isinstance(game, FunctionGame) else "exact"
    of_constants = [
        Quantity(assumption, name, getattr(c, name), c.kind[name])
        for assumption, names in (
            (1, ("K_mu", "K_s", "K_a", "L_mu", "L_s", "L_a")),
            (2, ("delta", "L_pop")),
            (0, ("L_h",)),
        )
        for name in names
    ]
    return [
        *of_constants,
        Quantity(3, "p_inf", p_inf, "lower bound"),
        Quantity(4, "T_mix", float(T_mix), known),
        Quantity(4, "delta_mix", delta_mix, "lower bound"),
    ]


def in_words(quantities: Sequence[Quantity]) -> list[str]:
    """Say which of the paper's assumptions are shown to hold, one line each.

    Parameters
    ----------
    quantities : sequence of Quantity
        Of `assumptions`.

    Returns
    -------
    list of str
    """
    value = {each.quantity: each.value for each in quantities}
    estimated = any(each.kind == "estimate" for each in quantities)
    not_shown = "not shown (estimates prove nothing)" if estimated else "not shown"
    finite = all(math.isfinite(each.value) for each in quantities if each.assumption == 1)
    lines = (
        ("1, Lipschitz transitions and rewards", finite and not estimated),
        ("2, a contracting population (L_pop < 1)", value["L_pop"] < 1.0 and not estimated),
        ("3, every action keeps a probability p_inf > 0", value["p_inf"] > 0.0),
        ("4, mixing within T_mix steps (delta_mix > 0)", value["delta_mix"] > 0.0),
    )
    return [f"assumption {words}: {'met' if met else not_shown}" for words, met in lines]
