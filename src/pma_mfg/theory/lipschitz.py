"""Lipschitz constants of a game, and the contraction bound of the theory.

Sources: docs/theory, sections 4 (constants) and 5 (the bound); sharper bounds are in `theory.certificates`, the exact
Jacobian is in `jacobian`. Every constant says whether it is `exact`, an `upper bound`, or an `estimate`. Cost:
O((S A)^2 S^2).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.sparse import csr_array

from pma_mfg.games.features import Features, to_dense
from pma_mfg.games.functions import FunctionGame, Game, differences, sample_mean_fields
from pma_mfg.games.model import MeanFieldGame
from pma_mfg.regularizers import Regularizer

#: How a number relates to the true constant. An "estimate" comes from a search in a game given by functions; the true
#: constant may be larger, so nothing is proved by a small estimate.
Kind = Literal["exact", "upper bound", "estimate"]

#: Largest number of terms summed for exact constants in computations that do not ask for them explicitly.
LARGEST_EXACT = 10**8

#: For estimates in a game of functions: largest number of entries of P and R evaluated (a second or two), smallest
#: number of mean fields, and largest number of directions of derivatives.
ESTIMATED, FEWEST_POINTS, MOST_DIRECTIONS = 10**8, 4, 64

#: Largest number of entries of the tables in which rows are compared at a time: some megabytes.
COMPARED = 10**6

#: Least probability at which the KL step has a derivative in double precision: its inverse over eta must be finite.
LEAST_KL = 1e-290

#: Rows of a game's transition or reward as (base (n, D), terms (K, n, D), features): base + sum_k phi_k(mu) terms_k.
Rows = tuple[np.ndarray, np.ndarray, Features]


@dataclass(frozen=True)
class Constants:
    """Lipschitz constants of a game in the norms of the theory (docs/theory, section 4).

    Parameters
    ----------
    K_mu, K_s, K_a : float
        Of P in the mean field, the state and the action, P in the l1 norm.
    L_mu, L_s, L_a : float
        Of R in the mean field, the state and the action.
    delta : float
        Dobrushin coefficient: half the largest l1 distance between two rows of P at one mean field, in [0, 1].
    L_pop : float
        K_mu + delta, the Lipschitz constant of the population update in the mean field; Assumption 2 asks for < 1.
    L_h : float
        L_a + gamma K_a L_s / (2 - gamma K_s), a bound on the span over actions of an optimal Q.
    kind : dict of str to str
        For each of the names above "exact", if the number is attained, "upper bound" or "estimate". `L_pop` and `L_h`
        are bounds by themselves; theirs says what they are computed from.
    """

    K_mu: float
    K_s: float
    K_a: float
    L_mu: float
    L_s: float
    L_a: float
    delta: float
    L_pop: float
    L_h: float
    kind: dict[str, Kind]


@dataclass(frozen=True)
class ContractionBound:
    """The constants on the way to L_Gamma_eta (docs/theory, section 5); infinite where a step fails.

    Parameters
    ----------
    stable_population : float
        K_a / (2 (1 - L_pop)), of Gamma_pop^inf in the policy.
    value_span : float
        Bound on sp(V) for policies in U.
    q_mean_field, q_policy : float
        L_{q,mu} and L_{q,pi}.
    L_theta : float
        A (L_{q,pi} + L_{q,mu} K_a / (2 (1 - L_pop))).
    L_gamma : float
        (1 + eta L_theta) / (1 + eta rho): Lipschitz constant of Gamma_eta on U in the norm sup_s ||.||_2.
    """

    stable_population: float
    value_span: float
    q_mean_field: float
    q_policy: float
    L_theta: float
    L_gamma: float


def weaker(*kinds: Kind) -> Kind:
    """Return the kind of a number computed from numbers of these kinds."""
    order: tuple[Kind, ...] = ("estimate", "upper bound", "exact")
    return min(kinds, key=order.index, default="exact")


def constants(game: Game) -> Constants:
    """Return the Lipschitz constants of a game.

    With affine features (every link the identity) each is a maximum over vertices of the simplex, and exact. Another
    feature enters by its range and by the Lipschitz constant of its link, which gives upper bounds. Of a game given by
    functions all are estimates, from O(S) evaluations: the largest values met at some mean fields, with derivatives
    from differences.

    Parameters
    ----------
    game : Game

    Returns
    -------
    Constants

    Raises
    ------
    InputError
        If the game is sparse and too large to be made dense.
    """
    if not game.has_features:
        largest = _seen(game)
        transitions: Kind = "estimate"
        rewards: Kind = "estimate"
    else:
        game = game.dense("lipschitz.constants")
        largest = _largest(game, np.eye(game.n_states))
        transitions, rewards = (kind_of(features) for features in (game.transition_features, game.reward_features))
    K_s, K_a, L_s, L_a = min(2.0, largest["K_s"]), min(2.0, largest["K_a"]), largest["L_s"], largest["L_a"]
    kind = dict.fromkeys(("K_mu", "K_s", "K_a", "delta", "L_pop"), transitions)
    kind |= dict.fromkeys(("L_mu", "L_s", "L_a"), rewards) | {"L_h": weaker(transitions, rewards)}
    return Constants(
        K_mu=largest["K_mu"],
        K_s=K_s,
        K_a=K_a,
        L_mu=largest["L_mu"],
        L_s=L_s,
        L_a=L_a,
        delta=largest["delta"],
        L_pop=largest["K_mu"] + largest["delta"],
        L_h=L_a + game.discount * K_a * L_s / (2.0 - game.discount * K_s),
        kind=kind,
    )


def _seen(game: FunctionGame) -> dict[str, float]:
    """Return the largest values seen of the constants of a game given by functions (docs/theory, section 1.2).

    Searched are some mean fields, at each some directions of the derivative, and pairs of rows of which the second is
    the farthest from the first, three times: O(S) evaluations, at so many mean fields as `ESTIMATED` allows.
    """
    states, size = game.n_states, game.n_states**2 * game.n_actions
    directions = min(states, MOST_DIRECTIONS, max(8, ESTIMATED // (2 * FEWEST_POINTS * size)))
    points = sample_mean_fields(states)
    count = min(len(points), max(FEWEST_POINTS, ESTIMATED // (2 * directions * size)))
    found = dict.fromkeys(("K_s", "K_a", "K_mu", "delta", "L_s", "L_a", "L_mu"), 0.0)
    for i in np.linspace(0, len(points) - 1, count).astype(int):
        towards = (i + np.linspace(0, states - 1, directions).astype(int)) % states
        for name, of in (("K", game.transition), ("L", game.reward)):
            table, moved = differences(of, points[i], towards)
            table = table.reshape(states, game.n_actions, -1)
            moved = moved.reshape(len(towards), states * game.n_actions, -1)
            at_point = {
                f"{name}_s": _farthest_pair(table.swapaxes(0, 1)),
                f"{name}_a": _farthest_pair(table),
                # moves between two states z, y are (e_z - e_y) / 2 per unit of the l1 norm
                f"{name}_mu": 0.5 * _farthest_pair(moved.swapaxes(0, 1)),
            }
            if name == "K":
                at_point["delta"] = min(1.0, 0.5 * _farthest_pair(table.reshape(1, -1, states)))
            found |= {constant: max(found[constant], value) for constant, value in at_point.items()}
    return found


def _farthest_pair(rows: np.ndarray) -> float:
    """Return the largest l1 distance met from row to farthest row in each group, rows of shape (groups, n, D).

    At least half the largest distance between any two, by the triangle inequality; all of it with up to three rows.
    """
    groups, largest = np.arange(len(rows)), 0.0
    place = np.zeros(len(rows), dtype=int)
    for _ in range(3):
        distances = np.abs(rows - rows[groups, place][:, None]).sum(axis=-1)
        place = distances.argmax(axis=1)
        largest = max(largest, float(distances.max()))
    return largest


def _largest(game: MeanFieldGame, vertices: np.ndarray) -> dict[str, float]:
    """Return bounds on the constants over mean fields in the hull of `vertices`, (Z, S)."""
    shape = (game.n_states, game.n_actions) * 2
    largest = {}
    for name, rows in (("K", transition_rows(game)), ("L", reward_rows(game))):
        apart = row_distances(rows, vertices).reshape(shape)
        largest[f"{name}_s"] = float(np.einsum("saza->sza", apart).max())
        largest[f"{name}_a"] = float(np.einsum("sasb->sab", apart).max())
        largest[f"{name}_mu"] = max(float(part.max(initial=0.0)) for part in _steepness_by_state(rows, vertices))
        if name == "K":
            largest["delta"] = min(1.0, 0.5 * float(apart.max()))
    return largest


def kind_of(features: Features) -> Kind:
    """Return the kind of the constants of tables with these features."""
    return "exact" if (features.links == 0).all() else "upper bound"


def transition_rows(game: MeanFieldGame, least: np.ndarray | None = None) -> Rows:
    """Return the rows P(.|s,a,.), n = S A, or those of the extreme policies with pi(a|s) >= least(s), shape (S,)."""
    game = game.dense("lipschitz")
    return _rows(game.base_transition, game.transition_terms, game.transition_features, least)


def reward_rows(game: MeanFieldGame, least: np.ndarray | None = None) -> Rows:
    """Return the rewards R(s,a,.) as rows of length one; `least` as in `transition_rows`."""
    game = game.dense("lipschitz")
    return _rows(game.base_reward[..., None], game.reward_terms[..., None], game.reward_features, least)


def _rows(base: np.ndarray, terms: np.ndarray, features: Features, least: np.ndarray | None) -> Rows:
    if least is not None:  # a mixture of all actions with weight A least and of a single one with the rest
        share = least[:, None, None]
        base, terms = (share * x.sum(axis=-2, keepdims=True) + (1.0 - base.shape[1] * share) * x for x in (base, terms))
    flat = base.reshape(-1, base.shape[-1])
    return flat, terms.reshape(len(terms), *flat.shape), features


def row_distances(rows: Rows, vertices: np.ndarray) -> np.ndarray:
    """Return bounds on the l1 distance between any two rows at one mean field, shape (n, n).

    The l1 norm is convex in the features: affine features are put on the vertices, any other feature in the middle of
    its range, which costs half its range times the norm of its own difference (docs/theory, section 4).

    Parameters
    ----------
    rows : Rows
    vertices : ndarray, shape (Z, S)
        The mean fields are in their convex hull.

    Returns
    -------
    ndarray, shape (n, n)
        Exact where every feature is affine.
    """
    base, terms, features = rows
    affine = features.links == 0
    low, high = features.ranges(vertices)
    phi = np.where(affine, features.values(vertices), 0.5 * (low + high))
    tables = base + np.tensordot(phi if affine.any() else phi[:1], terms, axes=1)  # (Z, n, D)
    curved, half = terms[~affine], 0.5 * (high - low)[~affine]
    distances = np.empty((len(base), len(base)))
    for part in parts(len(base), tables.size + curved.size):
        distances[part] = np.abs(tables[:, None] - tables[:, part, None]).sum(axis=-1).max(axis=0)
        distances[part] += half @ np.abs(curved[:, None] - curved[:, part, None]).sum(axis=-1).swapaxes(0, 1)
    return distances


def parts(count: int, entries: int) -> list[slice]:
    """Return slices of `count` rows, as many at a time as tables with so many entries a row take `COMPARED` in all."""
    length = max(1, COMPARED // max(1, entries))
    return [slice(first, first + length) for first in range(0, count, length)]


def steepness(rows: Rows, vertices: np.ndarray) -> np.ndarray:
    """Return bounds on the l1 change of each row per unit of the mean field's l1 norm, shape (..., pairs, n).

    A difference of mean fields is a combination of (e_z - e_y)/2, and every row is listed for each pair z < y: a convex
    function of the difference is largest at one of them (docs/theory, section 4).

    Parameters
    ----------
    rows : Rows
        Also with several tables of terms for the same features, (..., K, n, D).
    vertices : ndarray, shape (Z, S)
        As in `row_distances`: where curved links are evaluated.

    Returns
    -------
    ndarray, shape (..., S (S-1) / 2, n)
        Exact where every feature is affine.
    """
    return np.concatenate(list(_steepness_by_state(rows, vertices)), axis=-2)


def _steepness_by_state(rows: Rows, vertices: np.ndarray) -> Iterator[np.ndarray]:
    """Yield the parts of `steepness` with one z each: all of it at once may be too large."""
    _, terms, features = rows
    affine = features.links == 0
    lipschitz, norms = features.link_lipschitz(vertices), np.abs(terms).sum(axis=-1)[..., None, :]  # (..., K, 1, n)
    *several, _, count, length = terms.shape
    flat = terms[..., affine, :, :].reshape(*several, affine.sum(), count * length)
    for z in range(features.weights.shape[1]):
        moved = 0.5 * (features.weights[:, [z]] - features.weights[:, z + 1 :])  # (K, S - 1 - z)
        change = np.zeros((*several, moved.shape[1], count))
        if affine.any():
            change += np.abs((moved[affine].T @ flat).reshape(*change.shape, length)).sum(axis=-1)
        for k in np.flatnonzero(~affine):
            # no movement of the argument, or no weight of the feature: no contribution, however steep the link
            steep = np.where(moved[k] != 0.0, lipschitz[k], 0.0) * np.abs(moved[k])
            norm = norms[..., k, :, :]
            change += np.multiply(steep[:, None], norm, out=np.zeros_like(change), where=norm != 0.0)
        yield change


def contraction_bound(game: Game, regularizer: Regularizer, step_size: float) -> ContractionBound:
    """Return L_Gamma_eta and every constant on the way (docs/theory, section 5); infinite from estimates.

    Parameters
    ----------
    game : Game
    regularizer : Regularizer
    step_size : float
        eta > 0.

    Returns
    -------
    ContractionBound
    """
    c = constants(game)
    gamma, actions, inf = game.discount, game.n_actions, float("inf")
    if weaker(*c.kind.values()) == "estimate":
        return ContractionBound(inf, inf, inf, inf, inf, inf)
    stable = 0.5 * c.K_a / (1.0 - c.L_pop) if c.L_pop < 1.0 else _product(c.K_a, inf)
    value_span = (c.L_s + c.L_a + c.L_h) / (1.0 - gamma * c.delta)
    q_mean_field = (c.L_mu + _product(0.5 * gamma * value_span, c.K_mu)) / (1.0 - gamma)
    q_span = c.L_a + 0.5 * gamma * c.K_a * value_span
    q_policy = _product(0.5 * gamma / (1.0 - gamma), q_span + regularizer.gradient_span(actions, c.L_h))
    L_theta = actions * (q_policy + _product(q_mean_field, stable)) if actions > 1 else 0.0
    return ContractionBound(
        stable_population=stable,
        value_span=value_span,
        q_mean_field=q_mean_field,
        q_policy=q_policy,
        L_theta=L_theta,
        L_gamma=(1.0 + step_size * L_theta) / (1.0 + step_size * regularizer.rho),
    )


def _product(first: float, second: float) -> float:
    """Return a product of bounds in which nothing times infinity is nothing."""
    return first * second if first and second else 0.0


def policy_floor(game: Game, regularizer: Regularizer) -> float:
    """Return h_max - L_h: an optimal regularized policy lies in U = {u : h(u) >= h_max - L_h} (docs/theory, section 2).

    Minus infinity, no floor, for a game given by functions: with an estimate of L_h the set might miss the optimum.
    """
    if not game.has_features:
        return float("-inf")
    uniform = np.full(game.n_actions, 1.0 / game.n_actions)
    return float(regularizer.value(uniform)) - constants(game).L_h


def mixing(game: MeanFieldGame, least_action: float) -> tuple[int, float]:
    """Return T_mix and delta_mix of Assumption 4: P(state y after T_mix steps | anything) >= delta_mix for every y.

    Each step's kernel is, whatever the mean field and the policy with pi(a|s) >= least_action, at least one fixed
    matrix entry by entry; its powers are bounds (docs/theory, section 4).

    Parameters
    ----------
    game : Game
    least_action : float
        p_inf, in [0, 1/A].

    Returns
    -------
    n_steps : int
        The first T >= 1 with a positive bound for every pair of states; by Wielandt's theorem, if there is one at all
        it is at most (S-1)^2 + 1, which is returned otherwise.
    probability : float
        delta_mix, 0 if the bound stays zero.
    """
    game = game.dense("lipschitz.mixing")
    least = np.full(game.n_states, least_action)
    low = entry_ranges(transition_rows(game, least), np.eye(game.n_states))[0]
    step = np.maximum(low, 0.0).reshape(game.n_states, game.n_actions, -1).min(axis=1)
    longest = (game.n_states - 1) ** 2 + 1
    power = step
    for n_steps in range(1, longest + 1):
        if power.min() > 0.0:
            return n_steps, float(power.min())
        power = power @ step
    return longest, 0.0


def reward_range(game: Game) -> tuple[float, float]:
    """Return bounds on the rewards from below and above; of a game given by functions only the extremes seen."""
    if not game.has_features:
        seen = [game.reward(mean_field) for mean_field in sample_mean_fields(game.n_states)]
        return float(np.min(seen)), float(np.max(seen))
    lowest, highest = entry_ranges(reward_rows(game), np.eye(game.n_states))
    return float(lowest.min()), float(highest.max())


def q_range(game: MeanFieldGame, regularizer: Regularizer) -> float:
    """Return G, the length of an interval with 0 and every TD target while Q starts at 0 (docs/theory, section 10).

    Rewards lie in [r, R] and h in [h_min, h_max], so targets stay between (r + gamma h_min) / (1 - gamma) and
    (R + gamma h_max) / (1 - gamma).
    """
    game = game.dense("lipschitz.q_range")
    low, high = entry_ranges(reward_rows(game), np.eye(game.n_states))
    h_max = float(regularizer.value(np.full(game.n_actions, 1.0 / game.n_actions)))
    h_min = h_max - regularizer.span(game.n_actions)
    lowest = (float(low.min()) + game.discount * h_min) / (1.0 - game.discount)
    highest = (float(high.max()) + game.discount * h_max) / (1.0 - game.discount)
    return max(highest, 0.0) - min(lowest, 0.0)


def entry_ranges(rows: Rows, vertices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return bounds on every entry of the rows over mean fields in the hull of `vertices`, each of shape (n, D).

    Affine features vary together, any other one alone over its range; exact where every feature is affine.
    """
    base, terms, features = rows
    affine = features.links == 0
    tables = base + np.tensordot(features.values(vertices)[:, affine], terms[affine], axes=1)
    low, high = features.ranges(vertices)
    curved = np.moveaxis(terms[~affine], 0, -1)
    ends = (curved * low[~affine], curved * high[~affine])
    lower, upper = np.minimum(*ends).sum(axis=-1), np.maximum(*ends).sum(axis=-1)
    return tables.min(axis=0) + lower, tables.max(axis=0) + upper


def is_small(game: Game) -> bool:
    """Return whether `constants` takes seconds at most."""
    if not game.has_features:
        return True
    pairs = game.n_states * game.n_actions
    return pairs**2 * game.n_states * max(1, len(game.transition_features.links)) <= LARGEST_EXACT


def population_contraction(game: Game) -> tuple[float, Kind]:
    """Return L_pop and whether it is exact, at a cost that a large game can bear (docs/theory, section 4).

    Small games: of `constants`. Large ones: an upper bound. Rows have in common at least sum_y min_{s,a} P(y|s,a), so
    delta is at most 1 minus that (Doeblin), and K_mu at most the sum over features of what each can move.
    """
    if not game.has_features or is_small(game):
        found = constants(game.without_rewards())  # which do not matter here, and would cost the most
        return found.L_pop, found.kind["L_pop"]
    base, terms, features = game.base_transition, game.transition_terms, game.transition_features
    low, high = features.argument_ranges()
    moved = features.link_lipschitz() * 0.5 * (high - low)
    if isinstance(base, csr_array):
        change = csr_array((moved @ abs(terms), base.indices, base.indptr), shape=base.shape).sum(axis=1)
    else:
        change = np.tensordot(moved, np.abs(terms), axes=1).sum(axis=-1)
    common = to_dense(game.transition_floor().min(axis=0))
    common = common if common.ndim == 1 else common.min(axis=0)
    delta = min(1.0, 1.0 - float(np.maximum(common, 0.0).sum()))
    return delta + float(change.max()), "upper bound"
