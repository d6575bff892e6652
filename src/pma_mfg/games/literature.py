"""Games from the wider literature, exactly defined (docs/theory.md, section 15).

Each function names its source and what of it is changed; games of a finite horizon become stationary and discounted.
Noise is multiplied out into P; nothing is sampled or rounded.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from pma_mfg.errors import InputError
from pma_mfg.games import grids
from pma_mfg.games.benchmarks import CHAIN_MOVES, autonomous, line, own_state
from pma_mfg.games.model import Features, MeanFieldGame

INTERACTIONS = ("potential", "cyclic")
#: Share of the uniform law on the successors in the transition rows of `garnet`: no successor is lost.
UNIFORM_SHARE = 0.2

# name -> (accepts, what to say), as in `families`
RANGES: dict[str, tuple[Callable[[Any], bool], str]] = {
    "ring": (lambda x: True, "true or false"),
    "wear_cost": (lambda x: x >= 0, "a number >= 0"),
    "reset_cost": (lambda x: x >= 0, "a number >= 0"),
    "demand": (lambda x: x >= 0, "a number >= 0"),
    "investment_cost": (lambda x: x >= 0, "a number >= 0"),
    "success": (lambda x: 0 <= x <= 1, "a number in [0, 1]"),
    "depreciation": (lambda x: 0 <= x <= 1, "a number in [0, 1]"),
    "n_targets": (lambda x: 1 <= x <= 4, "an integer from 1 to 4"),
    "interaction": (lambda x: x in INTERACTIONS, f"one of {', '.join(INTERACTIONS)}"),
    "transition_coupling": (lambda x: 0 <= x <= 1, "a number in [0, 1]"),
}


def beach_bar(
    *,
    n_states: int = 10,
    discount: float = 0.9,
    ring: bool = True,
    coupling: float = 1.0,
    remoteness_cost: float = 1.0,
    movement_cost: float = 0.1,
    slip: float = 0.1,
    floor: float = 1e-12,
) -> MeanFieldGame:
    """Return the beach bar: towels near the bar, but away from the others.

    The next state is s + a + noise with a in {-1, 0, 1} and noise -1, 0, 1 with probabilities slip/2, 1 - slip, slip/2,
    modulo S on a ring and clipped on a line; R = -remoteness_cost d(s, S // 2) - movement_cost |a|
    - coupling log max(mu(s), floor), d the distance along the ring or the line. Source: S. Perrin, J. Perolat,
    M. Lauriere, M. Geist, R. Elie, O. Pietquin, "Fictitious Play for Mean Field Games", NeurIPS 2020, whose movement
    cost is 1/S; stationary here, and the logarithm has a floor.

    Parameters
    ----------
    n_states : int
        S >= 1.
    discount : float
        gamma in [0, 1).
    ring : bool
        Whether the beach is a ring.
    coupling : float
        >= 0, the aversion.
    remoteness_cost : float
        >= 0, per step from the bar.
    movement_cost : float
        >= 0.
    slip : float
        Probability in [0, 1] that the noise is not zero.
    floor : float
        In (0, 1): keeps the reward of a state without agents finite.

    Returns
    -------
    MeanFieldGame
    """
    place, moves = np.arange(n_states), np.array(list(CHAIN_MOVES.values()))
    transition = np.zeros((n_states, len(moves), n_states))
    for noise, probability in ((-1, 0.5 * slip), (0, 1.0 - slip), (1, 0.5 * slip)):
        target = place[:, None] + moves + noise
        target = target % n_states if ring else np.clip(target, 0, n_states - 1)
        for reached, a in zip(target.T, range(len(moves)), strict=True):
            transition[place, a, reached] += probability
    distance = np.abs(place - n_states // 2)
    if ring:
        distance = np.minimum(distance, n_states - distance)
    return MeanFieldGame(
        discount=discount,
        base_transition=transition,
        base_reward=-remoteness_cost * distance[:, None] - movement_cost * np.abs(moves),
        reward_terms=-coupling * own_state(n_states, len(moves)),
        reward_features=Features.build(np.eye(n_states), link="floored_log", parameter=floor),
        state_labels=tuple("bar" if s == n_states // 2 else str(s) for s in place),
        action_labels=tuple(CHAIN_MOVES),
        layout=_circle(n_states) if ring else line(n_states),
        **autonomous(transition),
    )


def malware_spread(
    *,
    n_states: int = 11,
    discount: float = 0.9,
    wear_cost: float = 0.2,
    coupling: float = 1.0,
    reset_cost: float = 0.5,
) -> MeanFieldGame:
    """Return the spread of malware: machines get ever worse, the more so costly the worse the others are, until reset.

    State s is the infection x(s) = s / (S - 1). Waiting leads to one of s, ..., S - 1, all equally likely, resetting to
    0; R = -(wear_cost + coupling sum_z mu(z) x(z)) x(s) - reset_cost 1{reset}. Monotone wear with a reset: the worse
    the others, the more is reset, and the equilibrium is unique (docs/theory.md, section 15). Source: J. Subramanian,
    A. Mahajan, "Reinforcement Learning in Stationary Mean-field Games", AAMAS 2019, on [0, 1] and with these costs;
    after M. Huang, Y. Ma, "Mean field stochastic games: monotone costs and threshold policies", CDC 2016.

    Parameters
    ----------
    n_states : int
        S >= 1 levels; a single one is 0.
    discount : float
        gamma in [0, 1).
    wear_cost : float
        >= 0, of a full infection among healthy machines.
    coupling : float
        >= 0, what the infection of the others adds to it.
    reset_cost : float
        >= 0.

    Returns
    -------
    MeanFieldGame
    """
    infection = np.linspace(0.0, 1.0, n_states)
    transition = np.zeros((n_states, 2, n_states))
    transition[:, 0] = np.triu(np.ones((n_states, n_states))) / np.arange(n_states, 0, -1)[:, None]
    transition[:, 1, 0] = 1.0
    return MeanFieldGame(
        discount=discount,
        base_transition=transition,
        base_reward=-wear_cost * infection[:, None] - np.array([0.0, reset_cost]),
        reward_terms=-coupling * np.repeat(infection[None, :, None], 2, axis=2),
        reward_features=Features.build(infection[None]),
        state_labels=tuple(f"infection {level:.3g}" for level in infection),
        action_labels=("wait", "reset"),
        layout=line(n_states),
        **autonomous(transition),
    )


def crowd_modelling_2d(
    *,
    rows: int = 10,
    columns: int = 10,
    discount: float = 0.9,
    coupling: float = 1.0,
    centring: float = 1.0,
    movement_cost: float = 0.1,
    slip: float = 1.0,
    floor: float = 1e-12,
) -> MeanFieldGame:
    """Return a crowd on a torus that seeks the centre and avoids itself.

    Actions up, right, down, left, stay; with probability slip, another of these moves, each equally likely, follows;
    cells are numbered row by row from the bottom left, and the grid wraps around. R = centring (2 - |row - r| / r
    - |column - c| / c) - movement_cost 1{a is not stay} - coupling log max(mu(s), floor), with r = rows // 2 and
    c = columns // 2. Source: `mfg_crowd_modelling_2d` of OpenSpiel (M. Lanctot et al., arXiv:1908.09453), a beach bar
    in the plane (S. Perrin et al., NeurIPS 2020). Changed: stationary and discounted in place of a horizon of 10 and a
    given start, the cost of a move is paid when it is made and not one step later, and the logarithm has a floor.

    Parameters
    ----------
    rows, columns : int
        >= 2.
    discount : float
        gamma in [0, 1).
    coupling : float
        >= 0, the aversion.
    centring : float
        >= 0.
    movement_cost : float
        >= 0.
    slip : float
        Probability in [0, 1] of a noise move; 1 in OpenSpiel.
    floor : float
        In (0, 1): keeps the reward of a state without agents finite.

    Returns
    -------
    MeanFieldGame
    """
    if min(rows, columns) < 2:
        raise InputError("crowd_modelling_2d", "rows, columns", (rows, columns), "at least 2 each")
    size, moves = rows * columns, np.array(list(grids.MOVES.values()))
    row, column = np.divmod(np.arange(size), columns)
    transition = np.zeros((size, len(moves), size))
    for a, move in enumerate(moves):
        for noise, probability in ((np.zeros(2, int), 1.0 - slip), *((other, slip / len(moves)) for other in moves)):
            step = move + noise
            reached = (row + step[0]) % rows * columns + (column + step[1]) % columns
            transition[np.arange(size), a, reached] += probability
    nearness = 2.0 - np.abs(row - rows // 2) / (rows // 2) - np.abs(column - columns // 2) / (columns // 2)
    return MeanFieldGame(
        discount=discount,
        base_transition=transition,
        base_reward=centring * nearness[:, None] - movement_cost * _moving(),
        reward_terms=-coupling * own_state(size, len(moves)),
        reward_features=Features.build(np.eye(size), link="floored_log", parameter=floor),
        state_labels=grids.state_labels(rows, columns),
        action_labels=tuple(grids.MOVES),
        layout=grids.layout(rows, columns),
        **autonomous(transition),
    )


def capacity_competition(
    *,
    n_states: int = 8,
    n_actions: int = 3,
    discount: float = 0.9,
    demand: float = 2.0,
    coupling: float = 2.0,
    investment_cost: float = 0.5,
    success: float = 0.6,
    depreciation: float = 0.2,
) -> MeanFieldGame:
    """Return firms that sell what their capacity allows on one market, and invest in more of it.

    State s is the capacity x(s) = s / (S - 1), action a the investment e(a) = a / (A - 1). Capacity grows by one level
    with probability success * e and shrinks by one with probability depreciation, independently, within its range;
    R = (demand - coupling sum_z mu(z) x(z)) x(s) - investment_cost e: the price falls linearly with the average output,
    as in Cournot's game. The more the others produce, the less it pays to invest, and the equilibrium is unique
    (docs/theory.md, section 15). Sources: D. Besanko, U. Doraszelski, "Capacity dynamics and endogenous asymmetries in
    firm size", RAND Journal of Economics 2004 (with few firms); as a stationary mean field game, B. Light, G. Weintraub,
    "Mean Field Equilibrium: Uniqueness, Existence, and Comparative Statics", Operations Research 2022. Changed: success
    is linear in the investment, and the numbers are ours.

    Parameters
    ----------
    n_states : int
        S >= 1 levels; a single one is 0.
    n_actions : int
        A >= 1 levels; a single one is 0.
    discount : float
        gamma in [0, 1).
    demand : float
        >= 0, the price where nobody produces.
    coupling : float
        >= 0, how much it falls if everybody produces at full capacity.
    investment_cost : float
        >= 0.
    success : float
        In [0, 1].
    depreciation : float
        In [0, 1].

    Returns
    -------
    MeanFieldGame
    """
    capacity, effort = np.linspace(0.0, 1.0, n_states), np.linspace(0.0, 1.0, n_actions)
    place, grows = np.arange(n_states), success * effort
    transition = np.zeros((n_states, n_actions, n_states))
    for step, probability in (
        (1, grows * (1.0 - depreciation)),
        (0, grows * depreciation + (1.0 - grows) * (1.0 - depreciation)),
        (-1, (1.0 - grows) * depreciation),
    ):
        transition[place, :, np.clip(place + step, 0, n_states - 1)] += probability
    return MeanFieldGame(
        discount=discount,
        base_transition=transition,
        base_reward=demand * capacity[:, None] - investment_cost * effort,
        reward_terms=-coupling * np.repeat(capacity[None, :, None], n_actions, axis=2),
        reward_features=Features.build(capacity[None]),
        state_labels=tuple(f"capacity {level:.3g}" for level in capacity),
        action_labels=tuple(f"investment {level:g}" for level in effort),
        layout=line(n_states),
        **autonomous(transition),
    )


def cluster(
    *,
    rows: int = 5,
    columns: int = 5,
    discount: float = 0.9,
    attraction: float = 1.0,
    slip: float = 0.1,
    floor: float = 1e-12,
) -> MeanFieldGame:
    """Return agents on a grid who seek company, anywhere: R = attraction log max(mu(s), floor).

    Actions up, right, down, left, stay; with probability slip one of the five, each equally likely, is made in place of
    the action; a move off the grid leaves the agent where it is. Any cell will do for a meeting, and there are as many
    equilibria where the regularizer is weak. Source: P. Benjamin, A. Abate, "Networked Communication for Decentralised
    Agents in Mean-Field Games", arXiv:2306.02766 (2023). Changed: the slip (0 there), so that every policy visits every
    cell, and the floor.

    Parameters
    ----------
    rows, columns : int
        >= 1.
    discount : float
        gamma in [0, 1).
    attraction : float
        What company is worth; negative where agents avoid each other.
    slip : float
        In [0, 1].
    floor : float
        In (0, 1): keeps the reward of a state without agents finite.

    Returns
    -------
    MeanFieldGame
    """
    size = rows * columns
    return _slippery_grid(
        rows,
        columns,
        discount,
        slip,
        base_reward=np.zeros((size, len(grids.MOVES))),
        reward_terms=attraction * own_state(size, len(grids.MOVES)),
        reward_features=Features.build(np.eye(size), link="floored_log", parameter=floor),
    )


def target_agreement(
    *,
    rows: int = 5,
    columns: int = 5,
    n_targets: int = 2,
    discount: float = 0.9,
    attraction: float = 1.0,
    remoteness_cost: float = 1.0,
    slip: float = 0.1,
) -> MeanFieldGame:
    """Return agents on a grid who are to agree on one of several targets: R = attraction mu(s) at a target.

    Elsewhere R = -remoteness_cost. The targets are corners, in the order bottom left, top right, bottom right, top
    left. Transitions as in `cluster`. Each target is a place to agree on. Source: P. Benjamin, A. Abate (2023, see
    `cluster`), where a target pays the share of agents that are there, if there is more than one, and everything else
    costs 1: with infinitely many agents, the reward above. Changed: the slip (0 there).

    Parameters
    ----------
    rows, columns : int
        >= 2.
    n_targets : int
        From 1 to 4.
    discount : float
        gamma in [0, 1).
    attraction : float
        What company at a target is worth; negative where agents avoid each other.
    remoteness_cost : float
        >= 0, of not being at a target.
    slip : float
        In [0, 1].

    Returns
    -------
    MeanFieldGame
    """
    if min(rows, columns) < 2:
        raise InputError("target_agreement", "rows, columns", (rows, columns), "at least 2 each")
    size, actions = rows * columns, len(grids.MOVES)
    targets = np.array([0, size - 1, columns - 1, size - columns])[:n_targets]
    elsewhere = np.ones(size)
    elsewhere[targets] = 0.0
    return _slippery_grid(
        rows,
        columns,
        discount,
        slip,
        base_reward=np.repeat(-remoteness_cost * elsewhere[:, None], actions, axis=1),
        reward_terms=attraction * own_state(size, actions)[targets],
        reward_features=Features.build(np.eye(size)[targets]),
    )


def garnet(
    *,
    n_states: int = 10,
    n_actions: int = 3,
    n_successors: int = 3,
    seed: int = 0,
    discount: float = 0.9,
    coupling: float = 1.0,
    transition_coupling: float = 0.3,
    interaction: str = "potential",
) -> MeanFieldGame:
    """Return a random game with few successors per state, affine in the mean field.

    Each state has its n_successors successors, s + 1 (or 0 after the last) among them, so that every policy visits
    every state. On them, P(.|s,a,mu) = (1 - c) P0(.|s,a) + c sum_z mu(z) T(.|s,a,z) with c the transition coupling, all
    rows from the flat Dirichlet law, mixed with a fifth of the uniform one. R(s,a,mu) = r(s,a)
    + coupling sum_z M(s,z) mu(z) with normal entries in r and G, and M = (G + G') / 2 (potential) or (G - G') / 2
    (cyclic). Sources: T. Archibald, K. McKinnon, L. Thomas, "On the generation of Markov decision processes", Journal
    of the Operational Research Society 1995; as a mean field game, MF-Garnet of Bench-MFG (arXiv:2602.12517). Changed:
    the coupling of transitions (rectified and normalized there), and successors are common to the actions of a state.

    Parameters
    ----------
    n_states, n_actions : int
        S >= 1 and A >= 1. Tables are dense, with about S^3 A entries.
    n_successors : int
        From 1 to S.
    seed : int
        >= 0.
    discount : float
        gamma in [0, 1).
    coupling : float
        >= 0.
    transition_coupling : float
        In [0, 1].
    interaction : str
        "potential" (M symmetric) or "cyclic" (M skew-symmetric).

    Returns
    -------
    MeanFieldGame
    """
    rng = np.random.default_rng([seed, 3])
    successors = successors_on_ring(n_states, n_successors, rng)
    drawn = rng.dirichlet(np.ones(n_successors), size=(n_states + 1, n_states, n_actions))
    drawn = UNIFORM_SHARE / n_successors + (1.0 - UNIFORM_SHARE) * drawn
    rows = np.zeros((n_states + 1, n_states, n_actions, n_states))
    np.put_along_axis(rows, np.broadcast_to(successors[None, :, None], drawn.shape), drawn, axis=3)
    base_reward = rng.normal(size=(n_states, n_actions))
    raw = rng.normal(size=(n_states, n_states))
    matrix = 0.5 * (raw + raw.T if interaction == "potential" else raw - raw.T)
    average = rows[1:].mean(axis=0)
    return MeanFieldGame(
        discount=discount,
        base_transition=(1.0 - transition_coupling) * rows[0] + transition_coupling * average,
        base_reward=base_reward,
        transition_terms=transition_coupling * (rows[1:] - average),
        transition_features=Features.build(np.eye(n_states)),
        reward_terms=np.repeat(coupling * matrix.T[:, :, None], n_actions, axis=2),
        reward_features=Features.build(np.eye(n_states)),
        state_labels=tuple(map(str, range(n_states))),
        action_labels=tuple(map(str, range(n_actions))),
        layout=_circle(n_states),
    )


FAMILIES = (
    beach_bar,
    malware_spread,
    crowd_modelling_2d,
    capacity_competition,
    cluster,
    target_agreement,
    garnet,
)


def successors_on_ring(states: int, successors: int, rng: np.random.Generator) -> np.ndarray:
    """Return random successors of each state, in order, the next state on the ring among them: shape (S, successors)."""
    # numbers 0..S-2 stand for the states that are not the next one
    others = np.array([rng.choice(states - 1, successors - 1, replace=False) for _ in range(states)], dtype=np.int64)
    following = (np.arange(states)[:, None] + 1) % states
    others = (following + 1 + others.reshape(states, successors - 1)) % states
    return np.sort(np.hstack([following, others]), axis=1)


def _slippery_grid(rows: int, columns: int, discount: float, slip: float, **reward: Any) -> MeanFieldGame:
    """Return the game on a grid where a random move is made in place of the action with probability slip."""
    moves = np.array(list(grids.MOVES.values()))
    goes = np.eye(rows * columns)[grids.displaced(rows, columns, moves)]
    transition = (1.0 - slip) * goes + slip * goes.mean(axis=1, keepdims=True)
    return MeanFieldGame(
        discount=discount,
        base_transition=transition,
        state_labels=grids.state_labels(rows, columns),
        action_labels=tuple(grids.MOVES),
        layout=grids.layout(rows, columns),
        **reward,
        **autonomous(transition),
    )


def _moving() -> np.ndarray:
    return np.array([name != "stay" for name in grids.MOVES])


def _circle(states: int) -> np.ndarray:
    angle = 2.0 * np.pi * np.arange(states) / states
    return np.stack([np.cos(angle), np.sin(angle)], axis=1)
