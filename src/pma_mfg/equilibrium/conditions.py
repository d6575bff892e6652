"""Conditions of the theory that a game with a policy does not meet (docs/theory, section 3.5).

The paper assumes that mu -> Gamma_pop(mu, pi) is a contraction, so that every policy has one stable population, which
every start reaches. What is looked at: the constant L_pop < 1, the recurrent classes and transient states of the chain
of the policy, and whether other starts lead to other populations.
"""

from __future__ import annotations

import numpy as np

from pma_mfg import operators, solvers
from pma_mfg.arrays import accepts
from pma_mfg.errors import ConvergenceError
from pma_mfg.games.functions import Game
from pma_mfg.theory import lipschitz

#: Population updates from each start in the search for other stable populations of a game of functions.
OTHER_UPDATES = 20

#: Error of an iterated population (l1) above which a warning is given.
POPULATION_ERROR = 1e-9

#: What `shortcomings` says of every game of functions, whose L_pop is estimated elsewhere: an estimate takes minutes
#: where a solution takes a second.
CONTRACTION_UNKNOWN = "of a contraction of the population nothing is known: `pma-mfg validate` estimates L_pop"

#: Distance (l1) above which two stable populations count as different.
DISTINCT_POPULATIONS = 1e-6


@accepts()
def shortcomings(
    game: Game, policy: np.ndarray, mean_field: np.ndarray, *, others: list[str] | None = None
) -> list[str]:
    """Say which conditions of the theory a game with this policy lacks, in words (docs/theory, section 3.5).

    Parameters
    ----------
    game : Game
    policy : ndarray, shape (S, A)
    mean_field : ndarray, shape (S,)
        A stable population of the policy.
    others : list of str, optional
        Of `other_populations`, where that was looked into already.

    Returns
    -------
    list of str
        Empty if the population update is a contraction and every state is visited for ever.
    """
    found = []
    L_pop = np.inf
    if not game.has_features:
        found.append(CONTRACTION_UNKNOWN)
    else:
        L_pop, kind = lipschitz.population_contraction(game)
        if L_pop >= 1.0:
            found.append(f"no contraction of the population is guaranteed: L_pop = {L_pop:.3g} ({kind}) is not below 1")
    kernel = operators.policy_kernel(game.transition(mean_field), policy)
    classes = operators.recurrent_classes(kernel)
    # several classes have several stationary laws, whose distance the estimate would report as an error
    if game.n_states > solvers.DIRECT_SIZE and len(classes) == 1:
        error = operators.population_error(kernel, mean_field)
        if error > POPULATION_ERROR:
            found.append(
                f"the chain of the policy mixes slowly: the population, found by iteration, may be off by {error:.1g} "
                "(l1)"
            )
    transient = np.setdiff1d(np.arange(game.n_states), np.concatenate(classes))
    if len(classes) > 1:
        found.append(
            f"the stable population is not unique: the chain of the policy has {operators.named_classes(classes)}; "
            "each carries one"
        )
    if len(transient):
        shown = ", ".join(map(str, transient[:6])) + (", ..." if len(transient) > 6 else "")
        found.append(f"{len(transient)} of {game.n_states} states are left for good (transient): {shown}")
    return found + (other_populations(game, policy, mean_field) if others is None else others)


@accepts()
def other_populations(game: Game, policy: np.ndarray, mean_field: np.ndarray) -> list[str]:
    """Look for stable populations other than `mean_field`, and for populations that do not settle.

    From a few starts, corners and random ones. For a game of functions, where every call is expensive: `OTHER_UPDATES`
    updates from two corners, if transitions depend on the mean field at all.

    Parameters
    ----------
    game : Game
    policy : ndarray, shape (S, A)
    mean_field : ndarray, shape (S,)
        A stable population of the policy.

    Returns
    -------
    list of str
        What was found, in words: at most one. None is looked for where L_pop < 1, with which there is none.
    """
    size = game.n_states
    if not game.depends_on_population or (game.has_features and lipschitz.population_contraction(game)[0] < 1.0):
        return []
    if not game.has_features:
        transition, update = game.transition(mean_field), operators.population_map(game, policy)
        for z in (0, size - 1):
            corner = np.bincount([z], minlength=size).astype(float)
            if np.array_equal(game.transition(corner), transition):
                continue
            other, history = solvers.anderson(
                update, corner, operators.STATIONARITY_TOLERANCE, max_iterations=OTHER_UPDATES
            )
            distance = float(np.abs(other - mean_field).sum())
            if history[-1] <= operators.STATIONARITY_TOLERANCE and distance > DISTINCT_POPULATIONS:
                return [_several_populations(f"state {z}", distance)]
        return []
    corners = np.unique(np.linspace(0, size - 1, 4).astype(int))
    starts = {"the uniform distribution": np.full(size, 1.0 / size)}
    starts |= {f"state {z}": np.bincount([z], minlength=size).astype(float) for z in corners}
    drawn = np.random.default_rng(0).dirichlet(np.full(size, 0.2), size=4)
    starts |= {f"random distribution {i}": start for i, start in enumerate(drawn)}
    for name, start in starts.items():
        try:
            other = operators.stable_population(game, policy, start=start, max_iterations=1000)
        except ConvergenceError as error:
            if name == "the uniform distribution":
                told = f"agents who play this policy do not settle from {name}: {error.message}"
                return [f"{told}; no simulation is known to stay at this equilibrium"]
            return [f"the population does not settle from every start: from {name}, {error.message}"]
        distance = float(np.abs(other - mean_field).sum())
        if distance > DISTINCT_POPULATIONS:
            return [_several_populations(name, distance)]
    return []


def _several_populations(name: str, distance: float) -> str:
    return (
        f"the policy has several stable populations: the one reached from {name} is {distance:.2g} (l1) from the one "
        "returned"
    )
