"""Games of the wider literature in stationary, discounted form (docs/theory, section 15).

Each function names its source and says what it adapts. Noise is multiplied out into P; nothing is sampled or rounded.
"""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_array, kron

from pma_mfg.games import grids
from pma_mfg.games.families import ROW_CONCENTRATION, UNIFORM_SHARE
from pma_mfg.games.features import Features, autonomous, own_state_terms
from pma_mfg.games.model import MeanFieldGame
from pma_mfg.games.registry import (
    AT_LEAST_ZERO,
    AT_MOST_ALL_STATES,
    BOOLEAN,
    FLOOR,
    INDEX,
    PROBABILITY,
    REAL,
    Limit,
    Range,
    family,
)

#: Entries S^3 A of the transition terms of `garnet` up to which its tables are dense (8 MB); larger ones are sparse.
GARNET_DENSE_ENTRIES = 10**6


@family(
    ring=BOOLEAN,
    bar=INDEX,
    noise=PROBABILITY,
    attraction=REAL,
    movement_cost=AT_LEAST_ZERO,
    crowd_aversion=AT_LEAST_ZERO,
    floor=FLOOR,
    limits={"bar": Limit(lambda p: p["bar"] < p["n_states"], "a state, less than n_states = {n_states}")},
)
def beach_bar(
    *,
    n_states: int = 10,
    discount: float = 0.9,
    ring: bool = True,
    bar: int | None = None,
    noise: float = 0.5,
    attraction: float = 1.0,
    movement_cost: float = 1.0,
    crowd_aversion: float = 1.0,
    floor: float = 1e-12,
) -> MeanFieldGame:
    """Return the beach bar: agents want to be near the bar, and away from the crowd.

    States 0..S-1 are places on a ring, or on a line; actions a = -1, 0, 1 move. With an independent e = -1, 0, 1 of
    probabilities noise / 2, 1 - noise, noise / 2 the next state is s + a + e, modulo S on the ring and clipped to the
    ends of the line, and

        R(s,a,mu) = attraction (1 - d(s, bar) / floor(S / 2)) - movement_cost |a| / S
                    - crowd_aversion log max(mu(s), floor),

    d the distance on the ring or the line (floor(1 / 2) counts as 1).

    Source: S. Perrin, J. Perolat, M. Lauriere, M. Geist, R. Elie, O. Pietquin, "Fictitious Play for Mean Field Games:
    Continuous Time Analysis and Applications", NeurIPS 2020, section 4.2; scale of the distance as in OpenSpiel's
    ``mfg_crowd_modelling``, line and noise as in MFGLib's ``beach_bar``. Adapted: no horizon and no initial law, but a
    discount; the cost of a move is paid with the move (OpenSpiel: one step later); log(mu) has a floor.

    Parameters
    ----------
    n_states : int
        S >= 1.
    discount : float
        gamma in [0, 1).
    ring : bool
        Whether the ends of the beach meet.
    bar : int, optional
        The bar's state, from 0 to S - 1; floor(S / 2) by default.
    noise : float
        Probability of an accidental move, in [0, 1].
    attraction : float
        What it is worth to be at the bar rather than floor(S / 2) away from it.
    movement_cost : float
        Cost of moving through all S states, >= 0.
    crowd_aversion : float
        >= 0.
    floor : float
        In (0, 1): shares below it count as it.

    Returns
    -------
    MeanFieldGame
    """
    state, moves = np.arange(n_states), np.array([-1, 0, 1])
    place = n_states // 2 if bar is None else bar
    distance = np.abs(state - place)
    if ring:
        distance = np.minimum(distance, n_states - distance)
    transition = np.zeros((n_states, 3, n_states))
    for accident, chance in zip(moves, (0.5 * noise, 1.0 - noise, 0.5 * noise), strict=True):
        target = state[:, None] + moves + accident
        target = target % n_states if ring else np.clip(target, 0, n_states - 1)
        transition[state[:, None], [[0, 1, 2]], target] += chance
    near = attraction * (1.0 - distance / max(1, n_states // 2))
    return _game(
        discount,
        transition,
        near[:, None] - movement_cost / n_states * np.abs(moves),
        terms=-crowd_aversion * own_state_terms(n_states, 3),
        features=Features.build(np.eye(n_states), 0.0, "floored_log", parameter=floor),
        state_labels=tuple(map(str, range(n_states))),
        action_labels=("left", "stay", "right"),
        layout=_circle(n_states) if ring else grids.layout(1, n_states),
    )


@family(vulnerability=AT_LEAST_ZERO, contagion=AT_LEAST_ZERO, repair_cost=AT_LEAST_ZERO)
def malware_spread(
    *,
    n_states: int = 11,
    discount: float = 0.9,
    vulnerability: float = 0.2,
    contagion: float = 1.0,
    repair_cost: float = 0.5,
) -> MeanFieldGame:
    """Return the spread of malware: a device's health gets worse, at a cost that grows with the others' state.

    A device's state is its infection x = 0, 1/(S-1), ..., 1. Left alone, it is next at one of the levels from x to 1,
    each as likely as the others; repaired, at 0. With m(mu) = sum_z x(z) mu(z), the average infection,

        R(s,a,mu) = -(vulnerability + contagion m(mu)) x(s) - repair_cost 1{a = repair}.

    Source: J. Subramanian, A. Mahajan, "Reinforcement Learning in Stationary Mean-field Games", AAMAS 2019, after
    M. Huang, Y. Ma, "Mean field stochastic games with binary action spaces and monotone costs", arXiv:1701.06661
    (2017). Adapted: their wear, from x to x + (1 - x) w with w uniform on [0, 1], on S levels.

    Parameters
    ----------
    n_states : int
        S >= 1.
    discount : float
        gamma in [0, 1).
    vulnerability : float
        Cost of infection that does not depend on the others, >= 0.
    contagion : float
        Cost per average infection, >= 0.
    repair_cost : float
        >= 0.

    Returns
    -------
    MeanFieldGame
    """
    infection = np.arange(n_states) / max(1, n_states - 1)
    transition = np.zeros((n_states, 2, n_states))
    transition[:, 0] = np.triu(np.ones((n_states, n_states))) / np.arange(n_states, 0, -1)[:, None]
    transition[:, 1, 0] = 1.0
    return _game(
        discount,
        transition,
        -vulnerability * infection[:, None] - repair_cost * np.array([0.0, 1.0]),
        terms=-contagion * np.repeat(infection[None, :, None], 2, axis=2),
        features=Features.build(infection[None]),
        state_labels=_levels(infection),
        action_labels=("leave", "repair"),
        layout=grids.layout(1, n_states),
    )


@family(noise=PROBABILITY, attraction=REAL, movement_cost=AT_LEAST_ZERO, crowd_aversion=AT_LEAST_ZERO, floor=FLOOR)
def crowd_modelling_2d(
    *,
    size: int = 10,
    discount: float = 0.9,
    noise: float = 1.0,
    attraction: float = 1.0,
    movement_cost: float = 1.0,
    crowd_aversion: float = 1.0,
    floor: float = 1e-12,
) -> MeanFieldGame:
    """Return the crowd on a torus of size x size cells: agents seek the centre cell, and avoid each other.

    A move up, right, down, left or none (`grids.MOVES`) is followed by an accidental one of the same five: with
    probability noise uniform, else none. With the centre at row and column floor(size / 2),

        R(s,a,mu) = attraction (2 - 2 (|row - centre| + |column - centre|) / size) - movement_cost 1{a != stay} / size
                    - crowd_aversion log max(mu(s), floor).

    Source: OpenSpiel's ``mfg_crowd_modelling_2d`` (M. Lanctot et al., "OpenSpiel: A Framework for Reinforcement
    Learning in Games", arXiv:1908.09453, 2019), two-dimensional after Perrin et al. (NeurIPS 2020); its defaults.
    Distances are those in the square, as there, though the moves are those of the torus. Adapted: no horizon and no
    initial law, but a discount; the cost of a move is paid with the move, not one step later; log(mu) has a floor
    where OpenSpiel adds 1e-25; without its options of forbidden cells, other targets and congestion.

    Parameters
    ----------
    size : int
        >= 1; S = size^2.
    discount : float
        gamma in [0, 1).
    noise : float
        In [0, 1].
    attraction : float
        Half of what the centre is worth over the corner furthest from it.
    movement_cost : float
        Cost of `size` moves, >= 0.
    crowd_aversion : float
        >= 0.
    floor : float
        In (0, 1): shares below it count as it.

    Returns
    -------
    MeanFieldGame
    """
    states, steps = size * size, np.array(list(grids.MOVES.values()))
    row, column = np.divmod(np.arange(states), size)
    target = (row[:, None] + steps[:, 0]) % size * size + (column[:, None] + steps[:, 1]) % size
    moved = _moves(target)
    accident = noise * moved.mean(axis=1) + (1.0 - noise) * np.eye(states)
    distance = np.abs(row - size // 2) + np.abs(column - size // 2)
    near = attraction * (2.0 - 2.0 * distance / size)
    return _game(
        discount,
        moved @ accident,
        near[:, None] - movement_cost / size * steps.any(axis=1),
        terms=-crowd_aversion * own_state_terms(states, len(steps)),
        features=Features.build(np.eye(states), 0.0, "floored_log", parameter=floor),
        state_labels=grids.state_labels(size, size),
        action_labels=tuple(grids.MOVES),
        layout=grids.layout(size, size),
    )


@family(
    demand=AT_LEAST_ZERO,
    price_slope=AT_LEAST_ZERO,
    effectiveness=AT_LEAST_ZERO,
    depreciation=PROBABILITY,
    investment_cost=AT_LEAST_ZERO,
)
def cournot_investment(
    *,
    n_states: int = 8,
    n_actions: int = 3,
    discount: float = 0.9,
    demand: float = 1.0,
    price_slope: float = 1.0,
    effectiveness: float = 2.0,
    depreciation: float = 0.3,
    investment_cost: float = 0.1,
) -> MeanFieldGame:
    """Return a market of firms that invest in capacity and sell at the price that all their capacities make.

    A firm's capacity is x = 0, 1/(S-1), ..., 1. An investment a = 0, 1, ..., A-1 succeeds with probability
    effectiveness a / (1 + effectiveness a) and adds a level; independently, a level is lost with probability
    depreciation (both: nothing changes; none is gained at the top or lost at the bottom). The price is the inverse
    demand at the average capacity,

        R(s,a,mu) = x(s) max(0, demand - price_slope sum_z x(z) mu(z)) - investment_cost a.

    Source: capacities, success and depreciation of D. Besanko, U. Doraszelski, "Capacity Dynamics and Endogenous
    Asymmetries in Firm Size", RAND Journal of Economics 35 (2004), after A. Pakes, P. McGuire (same journal, 1994);
    a price that is a function of the mean capacity, and a profit linear in one's own, as in A. Calvia, S. Federico,
    G. Ferrari, F. Gozzi, "Existence and uniqueness results for a mean-field game of optimal investment",
    arXiv:2404.02871 (2024). Adapted: a continuum of firms in place of two; discrete time and capacities; the inverse
    demand is linear; a firm sells all that it can make, and a unit of investment costs the same each time.

    Parameters
    ----------
    n_states, n_actions : int
        S >= 1 levels of capacity and A >= 1 of investment.
    discount : float
        gamma in [0, 1).
    demand : float
        Price if nobody has a capacity, >= 0.
    price_slope : float
        How much less it is if all have the largest one, >= 0.
    effectiveness : float
        >= 0.
    depreciation : float
        In [0, 1].
    investment_cost : float
        >= 0.

    Returns
    -------
    MeanFieldGame
    """
    state, effort = np.arange(n_states), np.arange(n_actions)
    capacity = state / max(1, n_states - 1)
    success = effectiveness * effort / (1.0 + effectiveness * effort)
    transition = np.zeros((n_states, n_actions, n_states))
    gain, loss = success * (1.0 - depreciation), depreciation * (1.0 - success)
    for change, chance in ((1, gain), (-1, loss), (0, 1.0 - gain - loss)):
        transition[state, :, np.clip(state + change, 0, n_states - 1)] += chance
    return _game(
        discount,
        transition,
        np.broadcast_to(-investment_cost * effort, (n_states, n_actions)).copy(),
        terms=np.repeat(capacity[None, :, None], n_actions, axis=2),
        features=Features.build(-price_slope * capacity[None], demand, "positive"),
        state_labels=_levels(capacity),
        action_labels=tuple(f"invest {a}" for a in effort),
        layout=grids.layout(1, n_states),
    )


@family(attraction=REAL, slip=PROBABILITY, floor=FLOOR)
def cluster(
    *,
    rows: int = 4,
    columns: int = 4,
    discount: float = 0.9,
    attraction: float = 1.0,
    slip: float = 0.1,
    floor: float = 1e-12,
) -> MeanFieldGame:
    """Return the cluster task: agents on a grid are rewarded for being where the others are.

    R(s,a,mu) = attraction log max(mu(s), floor), with the moves `grids.MOVES`; one that is blocked by the border leaves
    the agent where it is. With probability slip the move is drawn uniformly from the five instead.

    Source: P. Benjamin, A. Abate, "Networked Communication for Decentralised Agents in Mean-Field Games",
    arXiv:2306.02766 (2023), whose setting is stationary and discounted as well. Adapted: a smaller grid (there 8 x 8),
    slips (there none: slip = 0), no rescaling of rewards to [0, 1], log(mu) has a floor.

    Parameters
    ----------
    rows, columns : int
        >= 1; S = rows * columns.
    discount : float
        gamma in [0, 1).
    attraction : float
        Weight of the reward; negative where agents avoid each other.
    slip : float
        In [0, 1].
    floor : float
        In (0, 1): shares below it count as it.

    Returns
    -------
    MeanFieldGame
    """
    states, actions = rows * columns, len(grids.MOVES)
    return _grid_game(
        rows,
        columns,
        discount,
        slip=slip,
        terms=attraction * own_state_terms(states, actions),
        features=Features.build(np.eye(states), 0.0, "floored_log", parameter=floor),
    )


@family(
    n_targets=Range(lambda x: 1 <= x <= 4, "an integer from 1 to 4"),
    attraction=REAL,
    slip=PROBABILITY,
    limits={
        "n_targets": Limit(
            lambda p: p["n_targets"] <= min(p["rows"], 2) * min(p["columns"], 2),
            "at most the number of corners of {rows} x {columns} cells",
        )
    },
)
def target_agreement(
    *,
    rows: int = 4,
    columns: int = 4,
    discount: float = 0.9,
    n_targets: int = 2,
    attraction: float = 1.0,
    slip: float = 0.1,
) -> MeanFieldGame:
    """Return the target agreement task: agents on a grid must agree at which of several targets to meet.

    R(s,a,mu) = attraction mu(s) 1{s is a target}, with the moves of `cluster`. The targets are the first n_targets of
    the corners bottom left, top right, bottom right, top left (of a single row or column: its ends).

    Source: as of `cluster`. There an agent alone at a target earns nothing, mu(s) 1{mu(s) > 1/N}, which in a large
    population is mu(s). Adapted as `cluster`; where the targets are is ours.

    Parameters
    ----------
    rows, columns, discount, slip
        As in `cluster`.
    n_targets : int
        From 1 to 4, and at most the number of corners.
    attraction : float
        Weight of the reward.

    Returns
    -------
    MeanFieldGame
    """
    states, actions = rows * columns, len(grids.MOVES)
    corners = dict.fromkeys([0, states - 1, columns - 1, states - columns])  # those that differ, in order
    targets = list(corners)[:n_targets]
    weights = np.eye(states)[targets]
    return _grid_game(
        rows,
        columns,
        discount,
        slip=slip,
        terms=attraction * np.repeat(weights[:, :, None], actions, axis=2),
        features=Features.build(weights),
    )


@family(
    transition_coupling=PROBABILITY,
    coupling=AT_LEAST_ZERO,
    interaction=Range(lambda x: x in ("potential", "cyclic"), "one of potential, cyclic"),
    limits={"n_successors": AT_MOST_ALL_STATES},
)
def garnet(
    *,
    n_states: int = 20,
    n_actions: int = 4,
    discount: float = 0.9,
    seed: int = 0,
    n_successors: int = 5,
    transition_coupling: float = 0.5,
    coupling: float = 1.0,
    interaction: str = "potential",
) -> MeanFieldGame:
    """Return a random sparse game with an affine interaction, symmetric (potential) or skew (cyclic).

    With b = n_successors, a pair (s,a) leads to b states, s + 1 modulo S among them and the others drawn uniformly,
    by one of two random laws P0(.|s,a) and T(.|s,a) there:

        P(.|s,a,mu) = (1 - c x_s(mu)) P0(.|s,a) + c x_s(mu) T(.|s,a),   x_s(mu) = sum_z W(s,z) mu(z) in [0, 1],
        R(s,a,mu) = r(s,a) + coupling sum_z M(s,z) mu(z),

    c = transition_coupling; r and the b entries of each row of W that are not zero uniform in [0, 1];
    M = (G + G^T) / 2 (potential) or (G - G^T) / 2 (cyclic) for a matrix G with b standard normal entries in each row.
    P0 and T have rows (0.2 times uniform, plus 0.8 times Dirichlet of 0.5), so that whatever mu and the policy, s + 1
    follows s with at least 0.2 / b: there is one recurrent class, of all states. The tables are dense for
    S^3 A <= 10^6 and sparse above, with the same numbers.

    Source: T. Archibald, K. McKinnon, L. Thomas, "On the Generation of Markov Decision Processes", Journal of the
    Operational Research Society 46 (1995), for processes; L. Magnino, J. Shen, M. Geist, O. Pietquin, M. Lauriere,
    "Bench-MFG", arXiv:2602.12517 (2026), for games (MF-Garnet), whose M is this one at b = S. Adapted: P is affine in
    mu (there a normalized positive part), the interaction is sparse, and every state keeps being visited.

    Parameters
    ----------
    n_states, n_actions : int
        S >= 1 and A >= 1.
    discount : float
        gamma in [0, 1).
    seed : int
        >= 0.
    n_successors : int
        b, from 1 to S.
    transition_coupling : float
        In [0, 1]; 0 makes P free of the mean field.
    coupling : float
        Strength of the interaction in the reward, >= 0.
    interaction : str
        "potential" or "cyclic".

    Returns
    -------
    MeanFieldGame
        Without labels and layout: the states are nothing but numbers.
    """
    rng = np.random.default_rng([seed, 3])
    states, pairs, successors = n_states, n_states * n_actions, n_successors
    following = (np.arange(pairs) // n_actions + 1) % states
    # numbers 0..S-2 stand for the states that are not the next one
    others = following[:, None] + 1 + _distinct(rng, pairs, states - 1, successors - 1)
    columns = np.sort(np.hstack([following[:, None], others % states]), axis=1)
    laws = rng.dirichlet(np.full(successors, ROW_CONCENTRATION), size=(2, pairs))
    laws = UNIFORM_SHARE / successors + (1.0 - UNIFORM_SHARE) * laws
    change = transition_coupling * (laws[1] - laws[0])
    starts = np.arange(0, states + 1) * successors
    watched, partners = (np.sort(_distinct(rng, states, states, successors), axis=1).ravel() for _ in range(2))
    weights = csr_array((rng.uniform(size=watched.size), watched, starts), shape=(states, states))
    drawn = csr_array((rng.standard_normal(partners.size), partners, starts), shape=(states, states))
    sign = 1.0 if interaction == "potential" else -1.0
    matrix = csr_array(0.5 * (drawn + sign * drawn.T))
    game = MeanFieldGame(
        discount=discount,
        base_transition=csr_array(
            (laws[0].ravel(), columns.ravel(), np.arange(pairs + 1) * successors), shape=(pairs, states)
        ),
        base_reward=rng.uniform(size=(states, n_actions)),
        transition_terms=csr_array(
            (change.ravel(), np.arange(change.size), np.arange(states + 1) * n_actions * successors),
            shape=(states, change.size),
        ),
        transition_features=Features.build(weights),
        reward_terms=csr_array(kron(coupling * matrix.T, np.ones((1, n_actions)), format="csr")),
        reward_features=Features.build(csr_array((np.ones(states), np.arange(states), np.arange(states + 1)))),
    )
    return game.dense("garnet") if states**3 * n_actions <= GARNET_DENSE_ENTRIES else game


def _game(
    discount: float,
    transition: np.ndarray,
    reward: np.ndarray,
    *,
    terms: np.ndarray,
    features: Features,
    state_labels: tuple[str, ...],
    action_labels: tuple[str, ...],
    layout: np.ndarray,
) -> MeanFieldGame:
    """Return a game whose transitions do not depend on the mean field."""
    return MeanFieldGame(
        discount=discount,
        **autonomous(transition),
        base_reward=reward,
        reward_terms=terms,
        reward_features=features,
        state_labels=state_labels,
        action_labels=action_labels,
        layout=layout,
    )


def _grid_game(
    rows: int, columns: int, discount: float, *, slip: float, terms: np.ndarray, features: Features
) -> MeanFieldGame:
    """Return the game on a grid whose only reward is that of the interaction; moves slip to uniform ones."""
    moved = _moves(grids.displaced(rows, columns, np.array(list(grids.MOVES.values()))))
    return _game(
        discount,
        (1.0 - slip) * moved + slip * moved.mean(axis=1, keepdims=True),
        np.zeros(moved.shape[:2]),
        terms=terms,
        features=features,
        state_labels=grids.state_labels(rows, columns),
        action_labels=tuple(grids.MOVES),
        layout=grids.layout(rows, columns),
    )


def _moves(target: np.ndarray) -> np.ndarray:
    """Return the transitions (S, M, S) that go to the states `target` (S, M) for sure."""
    return np.asarray(np.eye(len(target))[target])


def _distinct(rng: np.random.Generator, count: int, high: int, size: int) -> np.ndarray:
    """Return `count` draws of `size` distinct numbers from 0 to high - 1, shape (count, size)."""
    draws = [rng.choice(high, size, replace=False) for _ in range(count)] if size else []
    return np.array(draws, dtype=np.int64).reshape(count, size)


def _levels(levels: np.ndarray) -> tuple[str, ...]:
    """Return names of numbers, with as many digits as tell them apart, three at least."""
    named = (tuple(f"{x:.{digits}g}" for x in levels) for digits in range(3, 18))
    return next(names for names in named if len(set(names)) == len(levels))


def _circle(states: int) -> np.ndarray:
    """Return points of a circle, sqrt(2) apart: unit cells around them do not overlap. Shape (S, 2)."""
    angle = 2.0 * np.pi * np.arange(states) / states
    radius = np.sqrt(0.5) / np.sin(np.pi / states) if states > 1 else 0.0
    return radius * (1.0 + np.stack([np.sin(angle), -np.cos(angle)], axis=1))
