"""What the theory says of a game: its constants, its assumptions, its equilibria (docs/theory.md, section 14).

One row per game for the table of games, and one row per state for its picture.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from pma_mfg import certificates, checks, equilibrium, lipschitz, operators, seeds
from pma_mfg.equilibrium import Equilibrium
from pma_mfg.errors import ConvergenceError
from pma_mfg.games.model import MeanFieldGame
from pma_mfg.regularizers import Regularizer

#: Equilibria further apart than this (sup_s l1 distance of policies) are different ones: far above what `solve` leaves.
DISTINCT = 1e-6
#: PMA steps per step size of a search for other equilibria: a start that needs more counts as not settled.
SEARCH_STEPS = 100
#: Actions whose probabilities differ by less are equally likely: rounding leaves less, after division by the strength.
TIE = 1e-9
CONSTANTS = ("K_mu", "K_s", "K_a", "L_mu", "L_s", "L_a", "delta", "L_pop")


def survey(
    game: MeanFieldGame,
    regularizer: Regularizer,
    found: Equilibrium,
    name: str,
    step_size: float,
    n_starts: int,
    seed: int,
    after_start: Callable[[], None] = lambda: None,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return what is known of a game, and its equilibrium state by state.

    Parameters
    ----------
    game : MeanFieldGame
    regularizer : Regularizer
    found : Equilibrium
        Of the game with this regularizer.
    name : str
        The game's name in tables and seeds.
    step_size : float
        eta of PMA.
    n_starts : int
        Starts of the search for other equilibria besides that of `found`: flat and nearly deterministic policies.
    seed : int
        Root seed.
    after_start : callable
        Called after each start.

    Returns
    -------
    facts : DataFrame
        One row: game, states, actions, discount, regularizer, strength, residual (the largest of the solution),
        starts, settled (starts that reached an equilibrium), equilibria (distinct ones found, at least that many
        exist), exploitability, exploitability_unregularized (of the equilibrium), the constants `CONSTANTS` and the
        kind of each as ``<constant>_kind`` (nan and "not computed" where `lipschitz.is_small` says no), p_inf, T_mix,
        delta_mix, step_size, radius, best_response_radius (spectral radii of the Jacobians of PMA and of the best
        response at the equilibrium, nan at a kink), assumptions (those shown to hold, such as "1, 3"), remark (a
        sentence on each that is not).
    states : DataFrame
        game, state, label, column, row (nan without a layout), mean_field, action (the label of the most likely one,
        or "several"), probability (its own), transient (whether the equilibrium's chain leaves the state for good).
    """
    policies, settled = [found.policy], 1
    rng = seeds.generator(seed, "survey", name)
    for _ in range(n_starts):
        start = checks.random_policy(game, rng)
        try:
            other = equilibrium.solve(game, regularizer, start, max_iterations=SEARCH_STEPS).policy
        except ConvergenceError:
            continue
        finally:
            after_start()
        settled += 1
        if min(operators.policy_distance(other, policy) for policy in policies) > DISTINCT:
            policies.append(other)
    radius = best_response_radius = np.nan
    if all(f.differentiable_at(found.mean_field) for f in (game.transition_features, game.reward_features)):
        radius, best_response_radius = checks.spectral_radii(game, found.policy, regularizer, [step_size, np.inf])
    facts: dict[str, Any] = {
        "game": name,
        "states": game.n_states,
        "actions": game.n_actions,
        "discount": game.discount,
        "regularizer": type(regularizer).__name__.lower(),
        "strength": regularizer.strength,
        "residual": max(map(abs, found.residuals.values())),
        "starts": n_starts + 1,
        "settled": settled,
        "equilibria": len(policies),
        "exploitability": found.residuals["exploitability"],
        "exploitability_unregularized": equilibrium.exploitability(game, found.policy),
        **_constants(game, regularizer, step_size),
        "step_size": step_size,
        "radius": radius,
        "best_response_radius": best_response_radius,
    }
    facts["assumptions"] = ", ".join(_shown(facts)) or "none"
    facts["remark"] = " ".join(_remarks(game, found, facts))
    return pd.DataFrame([facts]), _states(game, found, name)


def _constants(game: MeanFieldGame, regularizer: Regularizer, step_size: float) -> dict[str, Any]:
    """Return the Lipschitz constants with their kinds, p_inf and the mixing time; of a large game L_pop alone."""
    values: dict[str, Any] = {}
    for name in CONSTANTS:
        values |= {name: np.nan, f"{name}_kind": "not computed"}
    if not lipschitz.is_small(game):
        values["L_pop"], values["L_pop_kind"] = lipschitz.population_contraction(game)
        return values | {"p_inf": np.nan, "T_mix": np.nan, "delta_mix": np.nan}
    found = lipschitz.constants(game)
    for name in CONSTANTS:
        values |= {name: getattr(found, name), f"{name}_kind": found.kind[name]}
    p_inf = certificates.least_probability(game, regularizer, step_size)
    T_mix, delta_mix = lipschitz.mixing(game, p_inf)
    return values | {"p_inf": p_inf, "T_mix": float(T_mix), "delta_mix": delta_mix}


def _shown(facts: dict[str, Any]) -> list[str]:
    """Return the numbers of the paper's assumptions that the constants show to hold."""
    holds = {
        "1": all(np.isfinite(facts[name]) for name in CONSTANTS[:6]),
        "2": facts["L_pop"] < 1.0,
        "3": facts["p_inf"] > 0.0,
        "4": facts["delta_mix"] > 0.0,
    }
    return [number for number, shown in holds.items() if shown]


def _remarks(game: MeanFieldGame, found: Equilibrium, facts: dict[str, Any]) -> list[str]:
    """Say why an assumption is not shown, and what the theory's conclusions lose."""
    said = []
    if facts["L_pop"] >= 1.0:
        exact = facts["L_pop_kind"] == "exact"
        text = (
            f"Assumption 2 {'fails' if exact else 'is not shown'}: L_pop {'=' if exact else '≤'} {facts['L_pop']:.3g}"
        )
        if _deterministic(game):
            text += ", as with all deterministic transitions"
        elif facts["delta"] == 1.0 and facts["delta_kind"] == "exact":
            text += (
                "; some two pairs of state and action have no successor in common, so that no coupling is weak enough"
            )
        said.append(text + ".")
    if facts["p_inf"] == 0.0:
        said.append("Assumption 3 is not shown: no positive bound on probabilities of actions.")
    if facts["delta_mix"] == 0.0:
        said.append("Assumption 4 is not shown: some state need not be reachable from another.")
    said += [f"{warning[0].upper()}{warning[1:]}." for warning in found.warnings if "L_pop" not in warning]
    if facts["equilibria"] > 1:
        said.append(
            f"At least {facts['equilibria']} equilibria, so that PMA is no contraction at any step size; the one shown "
            "was reached from the uniform policy."
        )
    if facts["settled"] < facts["starts"]:
        said.append(f"From {facts['starts'] - facts['settled']} of {facts['starts']} starts the solver did not settle.")
    if np.isnan(facts["radius"]):
        said.append("The game has a kink at its equilibrium, where PMA has no Jacobian.")
    elif facts["radius"] > 1.0:
        said.append(
            f"PMA leaves this equilibrium: spectral radius {facts['radius']:.3g} at step size {facts['step_size']:.3g}."
        )
    elif facts["best_response_radius"] > 1.0:
        said.append(f"Best response leaves it (spectral radius {facts['best_response_radius']:.3g}); PMA does not.")
    return said


def _deterministic(game: MeanFieldGame) -> bool:
    """Return whether the next state is a function of state and action alone."""
    if len(game.transition_features.links):
        return False
    base = game.base_transition
    entries = base if isinstance(base, np.ndarray) else base.data
    return bool(np.isin(entries, (0.0, 1.0)).all())


def _states(game: MeanFieldGame, found: Equilibrium, name: str) -> pd.DataFrame:
    states = np.arange(game.n_states)
    likely = found.policy.argmax(axis=1)
    tied = (found.policy > found.policy.max(axis=1, keepdims=True) - TIE).sum(axis=1) > 1
    labels = game.state_labels or tuple(map(str, states))
    actions = game.action_labels or tuple(map(str, range(game.n_actions)))
    column, row = np.full((2, game.n_states), np.nan) if game.layout is None else game.layout.T
    kernel = operators.policy_kernel(game.transition(found.mean_field), found.policy)
    recurrent = np.concatenate(operators.recurrent_classes(kernel))
    return pd.DataFrame(
        {
            "game": name,
            "state": states,
            "label": labels,
            "column": column,
            "row": row,
            "mean_field": found.mean_field,
            "action": np.where(tied, "several", [actions[a] for a in likely]),
            "probability": found.policy[states, likely],
            "transient": ~np.isin(states, recurrent),
        }
    )
