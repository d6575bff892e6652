"""Measurements: games from the literature. From one game to tables (docs/theory, section 12)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from pma_mfg import equilibrium, jacobian, operators, regularizers, seeds
from pma_mfg.equilibrium import Equilibrium
from pma_mfg.errors import ConvergenceError
from pma_mfg.games.model import MeanFieldGame
from pma_mfg.regularizers import Regularizer
from pma_mfg.theory import invariant_sets, lipschitz
from pma_replication.experiments.phase import measure as phase_measure

#: Distance in mean field (l1) or policy (sup_s l1) above which two equilibria count as different; the solver's error is
#: far smaller.
DISTINCT = 1e-6

#: Concentration of the symmetric Dirichlet law that starts are drawn from: below 1, most of the mass is on few states.
START_CONCENTRATION = 0.2

#: Number of states that the row of an equilibrium names: those with the largest shares.
NAMED_STATES = 3

#: Actions whose probabilities differ by less count as equally likely; rounding errors are smaller, also after division
#: by the strength.
TIE = 1e-9

CONSTANTS = ("K_mu", "K_s", "K_a", "L_mu", "L_s", "L_a", "delta", "L_pop")


def table(
    game: MeanFieldGame,
    regularizer: Regularizer,
    found: Equilibrium,
    *,
    name: str,
    step_size: float,
    n_starts: int,
    seed: int,
    after_start: Callable[[], None] = lambda: None,
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Return what is known of a game, and its equilibria, one by one and state by state.

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
        Starts of the search for other equilibria besides that of `found`: populations, as in `start_populations`.
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
        kind of each as ``<constant>_kind`` (nan and "not computed" where `theory.lipschitz.is_small` says no), p_inf,
        T_mix, delta_mix, step_size, radius, best_response_radius (spectral radii of the Jacobians of PMA and of the
        best response at the equilibrium, nan at a kink), assumptions (those shown to hold, such as "1, 3"), remark (a
        sentence on each that is not).
    equilibria : DataFrame
        One row per equilibrium found, `found` first: game, equilibrium (its number), reached (by how many starts),
        residual (the largest), exploitability_unregularized, radius, population_radius (spectral radius of the
        population's update with the policy kept), fixed_point_index (docs/theory, section 14.3), all three nan
        at a kink, interior (whether every state has a share), followed (whether the stable population that PMA goes by
        is this one), largest (the states with the largest shares, in words).
    states : DataFrame
        game, equilibrium, state, label, column, row (nan without a layout), mean_field, action (the label of the most
        likely one, or "several"), action_number (of that, or of the first of several), probability (its own), transient
        (whether the equilibrium's chain leaves the state for good).
    """
    equilibria, reached = [found], [1]
    for start in start_populations(game, n_starts, seeds.generator(seed, "survey", name)):
        try:
            other = equilibrium.from_population(game, regularizer, start)
        except ConvergenceError:
            continue
        finally:
            after_start()
        number = next((i for i, known in enumerate(equilibria) if _distance(known, other) <= DISTINCT), len(reached))
        if number == len(reached):
            equilibria.append(other)
            reached.append(0)
        reached[number] += 1
    listed = pd.DataFrame([_equilibrium(game, regularizer, each, step_size) for each in equilibria])
    listed.insert(0, "game", name)
    listed.insert(1, "equilibrium", range(len(reached)))
    listed.insert(2, "reached", reached)
    facts: dict[str, Any] = {
        "game": name,
        "states": game.n_states,
        "actions": game.n_actions,
        "discount": game.discount,
        "regularizer": regularizers.name_of(regularizer),
        "strength": regularizer.strength,
        "residual": max(map(abs, found.residuals.values())),
        "starts": n_starts + 1,
        "settled": sum(reached),
        "equilibria": len(reached),
        "exploitability": found.residuals["exploitability"],
        "exploitability_unregularized": equilibrium.exploitability(
            game, found.policy, None, mean_field=found.mean_field
        ),
        **_constants(game, regularizer, step_size),
        "step_size": step_size,
        "radius": listed["radius"].iloc[0],
        "best_response_radius": listed.pop("best_response_radius").iloc[0],
    }
    facts["assumptions"] = ", ".join(_shown(facts)) or "none"
    facts["remark"] = " ".join(_remarks(game, found, facts, listed))
    states = pd.concat([_states(game, each, name, i) for i, each in enumerate(equilibria)], ignore_index=True)
    return pd.DataFrame([facts]), listed, states


def start_populations(game: MeanFieldGame, n_starts: int, rng: np.random.Generator) -> list[np.ndarray]:
    """Return populations to search for equilibria from: half of them on a single state, the others random.

    Single states go by the share of agents that a step of the uniform policy leaves there, largest first: absorbing
    states, which may be equilibria of their own, come first, then dead ends and corners.

    Parameters
    ----------
    game : MeanFieldGame
    n_starts : int
    rng : Generator

    Returns
    -------
    list of ndarray, shape (S,)
    """
    points, policy = np.eye(game.n_states), operators.uniform_policy(game)
    kept = [operators.population_update(game, point, policy)[state] for state, point in enumerate(points)]
    order = np.argsort(-np.round(kept, 12), kind="stable")[: (n_starts + 1) // 2]  # rounded: sums differ in last bits
    drawn = rng.dirichlet(np.full(game.n_states, START_CONCENTRATION), size=n_starts - len(order))
    return [*points[order], *drawn]


def _distance(first: Equilibrium, second: Equilibrium) -> float:
    """Return how far apart two equilibria are: in mean field or in policy, whichever is more."""
    apart = float(np.abs(first.mean_field - second.mean_field).sum())
    return max(apart, operators.policy_distance(first.policy, second.policy))


def _equilibrium(game: MeanFieldGame, regularizer: Regularizer, found: Equilibrium, step_size: float) -> dict[str, Any]:
    """Return the row of an equilibrium, without its number."""
    policy, mean_field = found.policy, found.mean_field
    radius = best_response_radius = population_radius = index = np.nan
    if game.differentiable_at(mean_field):
        radius, best_response_radius = phase_measure.spectral_radii(
            game, policy, regularizer, step_sizes=[step_size, np.inf], mean_field=mean_field
        )
        tangent = jacobian.tangent_basis(game.n_states)
        flow = tangent @ operators.population_jacobian(game, mean_field, policy) @ tangent.T
        population_radius = jacobian.spectral_radius(flow)
        played = (
            tangent @ jacobian.best_response_derivative(game, mean_field, policy, regularizer=regularizer) @ tangent.T
        )
        index = np.linalg.slogdet(np.eye(len(played)) - played).sign
    try:
        apart = np.abs(operators.stable_population(game, policy) - mean_field).sum()
    except ConvergenceError:
        apart = np.inf
    labels = game.state_labels or tuple(map(str, range(game.n_states)))
    largest = np.argsort(-np.round(mean_field, 9), kind="stable")[:NAMED_STATES]  # rounded: equal shares stay in order
    return {
        "residual": max(map(abs, found.residuals.values())),
        "exploitability_unregularized": equilibrium.exploitability(game, policy, None, mean_field=mean_field),
        "radius": radius,
        "best_response_radius": best_response_radius,
        "population_radius": population_radius,
        "fixed_point_index": index,
        "interior": bool((mean_field > 0.0).all()),
        "followed": bool(apart <= DISTINCT),
        "largest": ", ".join(f"{labels[s]}: {mean_field[s]:.3g}" for s in largest),
    }


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
    p_inf = invariant_sets.least_probability(game, regularizer, step_size)
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


def _remarks(game: MeanFieldGame, found: Equilibrium, facts: dict[str, Any], listed: pd.DataFrame) -> list[str]:
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
        text = f"At least {facts['equilibria']} equilibria"
        if listed["followed"].sum() > 1:
            text += ", so that PMA is no contraction at any step size"
        said.append(f"{text}; the one shown was reached from the uniform policy.")
    if not listed["followed"].all():
        said.append(
            f"In {(~listed['followed']).sum()} of them the population is another stable one of the policy than that "
            "which PMA goes by."
        )
    # docs/theory, Proposition 14.3: of equilibria inside the simplex, all together
    indices = listed["fixed_point_index"]
    if not indices.isna().any() and listed["interior"].all() and (total := indices.sum()) != 1.0:
        said.append(f"Their indices sum to {total:g}, not 1: there are more.")
    if facts["settled"] < facts["starts"]:
        said.append(f"From {facts['starts'] - facts['settled']} of {facts['starts']} starts the search did not settle.")
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


def _states(game: MeanFieldGame, found: Equilibrium, name: str, number: int) -> pd.DataFrame:
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
            "equilibrium": number,
            "state": states,
            "label": labels,
            "column": column,
            "row": row,
            "mean_field": found.mean_field,
            "action": np.where(tied, "several", [actions[a] for a in likely]),
            "action_number": likely,
            "probability": found.policy[states, likely],
            "transient": ~np.isin(states, recurrent),
        }
    )
