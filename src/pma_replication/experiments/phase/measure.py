"""Measurements: which strengths and step sizes contract. From one game to tables (docs/theory, section 12)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

import numpy as np
import pandas as pd

from pma_mfg import equilibrium, jacobian, operators, regularizers, seeds
from pma_mfg.arrays import accepts
from pma_mfg.commands import step_sizes as units
from pma_mfg.errors import ConvergenceError
from pma_mfg.games.functions import Game
from pma_mfg.games.model import MeanFieldGame
from pma_mfg.regularizers import MIRRORS, Mirror, Regularizer
from pma_mfg.theory import attraction, certificates, invariant_sets, lipschitz

REGULARIZERS = ("entropy", "quadratic")

#: The bounds whose smallest certified strengths are looked for.
BOUNDS = ("paper", "certificate", "attraction")

#: PMA is run from nearby starts only where the spectral radius is below the first or above the second number.
PROBED_RADII = (0.95, 1.05)

#: Size of the disturbance of an equilibrium that PMA is to undo: relative to each probability, and mass moved to
#: actions that may have none (the latter far above rounding, which is some 1e-12 at a deterministic equilibrium).
DISTURBANCE = (1e-3, 1e-6)


@accepts()
def spectral_radii(
    game: Game,
    policy: np.ndarray,
    regularizer: Regularizer,
    *,
    step_sizes: Sequence[float],
    mirror: Mirror = "euclidean",
    mean_field: np.ndarray | None = None,
) -> np.ndarray:
    """Return the spectral radius of PMA's Jacobian at an equilibrium for many step sizes, from one Jacobian.

    By docs/theory, Proposition 7.7: J_eta = I - D (I - J_inf) on the directions that keep the support, with D from
    the curvatures; with "kl" an action off the support fades at the rate (7.7).

    Parameters
    ----------
    game : Game
    policy : ndarray, shape (S, A)
        An equilibrium.
    regularizer : Regularizer
    step_sizes : sequence of float
    mirror : {"euclidean", "kl"}
    mean_field : ndarray, shape (S,), optional
        Its stable population, as in `jacobian.jacobian`.

    Returns
    -------
    ndarray, shape (len(step_sizes),)
    """
    states, actions = policy.shape
    if mean_field is None:
        mean_field = operators.stable_population(game, policy)
    q = operators.q_values(game, policy, mean_field, regularizer=regularizer)
    policy = regularizer.best_response(q)  # the equilibrium again, with the zeros of its support exact
    support = policy > 0.0
    face = np.zeros((int(support.sum()) - states, states, actions))
    filled = 0
    for s, row in enumerate(support):
        count = int(row.sum()) - 1
        face[filled : filled + count, s, row] = jacobian.tangent_basis(count + 1)
        filled += count
    to_face = (face @ jacobian.tangent_basis(actions).T).reshape(len(face), states * (actions - 1))
    identity = np.eye(len(face))
    best_response = (
        to_face @ jacobian.jacobian(game, policy, np.inf, regularizer=regularizer, mean_field=mean_field) @ to_face.T
    )
    curvature = np.where(support, regularizer.curvature(policy), 1.0)
    metric = 1.0 / np.where(support, policy, 1.0) if mirror == "kl" else np.ones_like(policy)
    radii = []
    for eta in step_sizes:
        weights = np.where(support, 1.0 / (curvature + metric / eta), 0.0)
        shares = curvature * weights
        scaled = face * shares
        means = (face * shares).sum(axis=2)[:, :, None] * (weights / weights.sum(axis=1, keepdims=True))
        damping = np.einsum("isa,jsa->ij", face, scaled - means)
        radius = jacobian.spectral_radius(identity - damping @ (identity - best_response))
        if mirror == "kl" and not support.all():
            slope = q + regularizer.gradient(np.where(support, policy, 0.0))
            level = np.where(support, slope, -np.inf).max(axis=1, keepdims=True)
            radius = max(radius, float(np.exp(eta * (slope - level)[~support].max())))
        radii.append(radius)
    return np.array(radii)


def phase_diagram(
    game: MeanFieldGame,
    name: str,
    strengths: Sequence[float],
    *,
    relative_step_sizes: Sequence[float],
    n_probes: int,
    seed: int,
    after_strength: Callable[[], None] = lambda: None,
) -> pd.DataFrame:
    """Return where PMA is certified, locally contractive or divergent, over (strength, eta); docs/theory, section 7.4.

    For both regularizers and both mirror maps. One equilibrium is followed from large strengths to small ones.

    Parameters
    ----------
    game : Game
    name : str
        The game's name in tables and seeds.
    strengths : sequence of float
        Weights of the regularizer.
    relative_step_sizes : sequence of float
        eta in units of 1 / rho.
    n_probes : int
        Points of each region, regularizer and mirror map at which PMA itself is run from nearby.
    seed : int
        Root seed.
    after_strength : callable
        Called after each strength.

    Returns
    -------
    DataFrame
        Columns game, regularizer, mirror, strength, relative_step_size, differentiable (no kink at the equilibrium),
        spectral_radius (nan without an equilibrium or at a kink), paper_bound (of section 5; infinite with "kl", for
        which it is not made), certificate, attraction (the certified rate towards this equilibrium), region
        ("certified" where the certificate is below 1, else "attracting" where the attraction is, else "locally
        contractive" or "divergent" by the spectral radius, "kink", or "unsolved" where no equilibrium was found to
        which the population of its own policy leads),
        returned (1 or 0: whether PMA came back from nearby; nan where it was not run).
    """
    columns = ["regularizer", "mirror", "strength", "relative_step_size", "differentiable", "spectral_radius"]
    columns += ["paper_bound", "certificate", "attraction", "region"]
    rows, solved = [], {}
    for kind in REGULARIZERS:
        start: np.ndarray | None = None
        for strength in sorted(map(float, strengths), reverse=True):
            regularizer = regularizers.make(kind, strength)
            steps = [units.absolute(relative, regularizer) for relative in relative_step_sizes]
            try:
                found = equilibrium.solve(game, regularizer, start, max_iterations=500)
                differentiable = game.differentiable_at(found.mean_field)
                radii = {
                    mirror: spectral_radii(game, found.policy, regularizer, step_sizes=steps, mirror=mirror)
                    if differentiable
                    else np.full(len(steps), np.nan)
                    for mirror in MIRRORS
                }
            except ConvergenceError:  # none is found, or its own policy leads the population away from it
                differentiable = True
                radii = {mirror: np.full(len(steps), np.nan) for mirror in MIRRORS}
            else:
                start = solved[kind, strength] = found.policy
            theta = lipschitz.contraction_bound(game, regularizer, 1.0).L_theta
            for mirror in MIRRORS:
                found_set = invariant_sets.invariant_set(game, regularizer, mirror)
                attracted = np.full(len(steps), np.inf)
                if (kind, strength) in solved:
                    attracted = attraction.attraction(
                        game, regularizer, steps, equilibrium=solved[kind, strength], mirror=mirror, found=found_set
                    )
                for i, (relative, eta) in enumerate(zip(relative_step_sizes, steps, strict=True)):
                    radius, rate = float(radii[mirror][i]), float(attracted[i])
                    paper = (1.0 + eta * theta) / (1.0 + relative) if mirror == "euclidean" else np.inf
                    certified = certificates.certificate(game, regularizer, eta, mirror=mirror, found=found_set).L_gamma
                    missing = "unsolved" if (kind, strength) not in solved else "kink"
                    region = region_of_point(certified, rate, radius, missing=missing)
                    point = (kind, mirror, strength, relative, differentiable)
                    rows.append((*point, radius, paper, certified, rate, region))
            after_strength()
    table = pd.DataFrame(rows, columns=columns)
    rng = seeds.generator(seed, "phase_diagram", name)
    table["returned"] = _returned(game, table, solved, n_probes=n_probes, rng=rng)
    table.insert(0, "game", name)
    return table


def _returned(
    game: Game,
    table: pd.DataFrame,
    solved: Mapping[tuple[str, float], np.ndarray],
    *,
    n_probes: int,
    rng: np.random.Generator,
) -> pd.Series:
    """Return the column `returned` of `phase_diagram`: PMA is run at points drawn from every region."""
    returned = pd.Series(np.nan, index=table.index)
    for _, group in table.groupby(["regularizer", "mirror", "region"], sort=True):
        decided = group[(group["spectral_radius"] < PROBED_RADII[0]) | (group["spectral_radius"] > PROBED_RADII[1])]
        for i in rng.permutation(decided.index)[:n_probes]:
            point = table.loc[i]
            regularizer = regularizers.make(point["regularizer"], point["strength"])
            eta = units.absolute(point["relative_step_size"], regularizer)
            policy = solved[point["regularizer"], point["strength"]]
            returned[i] = float(
                _returns(game, regularizer, policy, eta, point["mirror"], point["spectral_radius"], rng)
            )
    return returned


def region_of_point(certificate: float, attraction: float, radius: float, *, missing: str) -> str:
    """Return the strongest statement that holds; `missing` where there is no spectral radius."""
    if certificate < 1.0:
        return "certified"
    if attraction < 1.0:
        return "attracting"
    if np.isnan(radius):
        return missing
    return "locally contractive" if radius < 1.0 else "divergent"


def _returns(
    game: Game,
    regularizer: Regularizer,
    policy: np.ndarray,
    eta: float,
    mirror: Mirror,
    radius: float,
    rng: np.random.Generator,
) -> bool:
    """Return whether PMA comes back to an equilibrium after a disturbance of size `DISTURBANCE`.

    It has come back at a hundredth of the first distance, for which the spectral radius predicts log(100) / log(1/r)
    steps; four times as many are made, and fifty.
    """
    disturbed = policy * np.exp(DISTURBANCE[0] * rng.normal(size=policy.shape)) + DISTURBANCE[1]
    disturbed /= disturbed.sum(axis=1, keepdims=True)
    first = operators.policy_distance(disturbed, policy)
    for _ in range(50 + int(4.0 * np.log(100.0) / abs(np.log(max(radius, 1e-3))))):
        try:
            disturbed = operators.policy_mirror_ascent(game, disturbed, eta, regularizer=regularizer, mirror=mirror)
        except ConvergenceError:  # a policy whose population does not settle, from which nothing comes back
            return False
        if operators.policy_distance(disturbed, policy) <= 0.01 * first:
            return True
    return False


def certified_strengths(
    game: MeanFieldGame,
    name: str,
    relative_step_size: float = 1.0,
    *,
    kinds: Sequence[str] = REGULARIZERS,
    bounds: Sequence[str] = BOUNDS,
) -> pd.DataFrame:
    """Return the smallest regularization that each bound certifies, and how far from trivial the game then is.

    Parameters
    ----------
    game : Game
    name : str
        The game's name in the table.
    relative_step_size : float
        eta in units of 1 / rho.
    kinds, bounds : sequence of str, optional
        The regularizers and bounds that are asked for, all by default: each row is computed by itself.

    Returns
    -------
    DataFrame
        Columns game, regularizer, mirror, bound ("paper", section 5.1, for the Euclidean mirror map, "certificate",
        section 5.3, or "attraction" to the equilibrium that is solved for, section 5.4),
        relative_step_size, smallest_strength (infinite if none is found), distance_from_uniform (sup_s l1 distance of
        the equilibrium from the uniform policy at that strength, nan if none).
    """

    def regularized(kind: str, strength: float) -> tuple[Regularizer, float]:
        regularizer = regularizers.make(kind, strength)
        return regularizer, units.absolute(relative_step_size, regularizer)

    def paper(kind: str, mirror: Mirror, strength: float) -> bool:
        regularizer, eta = regularized(kind, strength)
        return lipschitz.contraction_bound(game, regularizer, eta).L_gamma < 1.0

    def certificate(kind: str, mirror: Mirror, strength: float) -> bool:
        regularizer, eta = regularized(kind, strength)
        return certificates.certificate(game, regularizer, eta, mirror=mirror).L_gamma < 1.0

    def attracts(kind: str, mirror: Mirror, strength: float) -> bool:
        regularizer, eta = regularized(kind, strength)
        try:
            found = equilibrium.solve(game, regularizer, max_iterations=500)
        except ConvergenceError:
            return False
        return bool(attraction.attraction(game, regularizer, [eta], equilibrium=found.policy, mirror=mirror)[0] < 1.0)

    tests: list[tuple[str, Mirror, Callable[[str, Mirror, float], bool]]] = [("paper", "euclidean", paper)]
    named = {"certificate": certificate, "attraction": attracts}
    tests += [(name, mirror, holds) for name, holds in named.items() for mirror in MIRRORS]
    rows: list[tuple[object, ...]] = []
    for kind in kinds:
        for bound, mirror, certifies in (test for test in tests if test[0] in bounds):
            smallest = smallest_certified(partial(certifies, kind, mirror))
            distance = np.nan
            if smallest < np.inf:
                found = equilibrium.solve(game, regularizers.make(kind, smallest))
                distance = operators.policy_distance(found.policy, operators.uniform_policy(game))
            rows.append((name, kind, mirror, bound, relative_step_size, smallest, distance))
    columns = ["game", "regularizer", "mirror", "bound", "relative_step_size", "smallest_strength"]
    return pd.DataFrame(rows, columns=[*columns, "distance_from_uniform"])


def smallest_certified(certifies: Callable[[float], bool], low: float = 1e-6, high: float = 1e7) -> float:
    """Return the end of the certified strengths that reaches down from `high`, to one percent.

    Walks down by factors of 10, then bisects between the last strength that is certified and the first that is not; so
    an island of certified strengths further down is not found, and a gap narrower than a factor of 10 can be missed.

    Parameters
    ----------
    certifies : callable
        Of a strength.
    low, high : float
        Where to stop, and where to start.

    Returns
    -------
    float
        Infinite if `high` is not certified; at most `low` if everything is.
    """
    if not certifies(high):
        return np.inf
    inside = high
    while certifies(inside / 10.0):
        inside /= 10.0
        if inside <= low:
            return inside
    outside = inside / 10.0
    while inside > 1.01 * outside:
        middle = float(np.sqrt(inside * outside))
        inside, outside = (middle, outside) if certifies(middle) else (inside, middle)
    return inside
