"""The eight prototypical games of Bench-MFG, exactly defined (docs/theory, section 14).

Source of the collection: L. Magnino, J. Shen, M. Geist, O. Pietquin, M. Lauriere, "Bench-MFG: A Benchmark Suite for
Learning in Stationary Mean Field Games", arXiv:2602.12517 (2026), whose parameters are the defaults here. Each function
names the older literature that its game comes from. Noise is multiplied out into P; nothing is sampled or rounded.
"""

from __future__ import annotations

import numpy as np

from pma_mfg.errors import InputError
from pma_mfg.games import grids
from pma_mfg.games.features import Features, autonomous, own_state_terms
from pma_mfg.games.model import MeanFieldGame
from pma_mfg.games.registry import AT_LEAST_ZERO, FLOOR, PROBABILITY, REAL, Range, family

#: Action -> change of the state in the games on a chain.
CHAIN_MOVES = {"left": -1, "stay": 0, "right": 1}


@family(switching_cost=AT_LEAST_ZERO, coupling=AT_LEAST_ZERO)
def contraction_game(*, discount: float = 0.9, switching_cost: float = 2.0, coupling: float = 2.0) -> MeanFieldGame:
    """Return the contraction game: two states, stay or switch, R = -switching_cost 1{switch} - coupling mu(s).

    Transitions are deterministic. Where switching_cost > coupling gamma / (1 - gamma) nobody would ever switch,
    whatever the population: without a regularizer the best response is constant, which gives the game its name. The
    defaults are below that. Source: Bench-MFG.

    Parameters
    ----------
    discount : float
        gamma in [0, 1).
    switching_cost : float
        C >= 0.
    coupling : float
        alpha >= 0, the price of company.

    Returns
    -------
    MeanFieldGame
    """
    transition = np.stack([np.eye(2), np.eye(2)[::-1]], axis=1)
    return MeanFieldGame(
        discount=discount,
        **autonomous(transition),
        base_reward=np.tile([0.0, -switching_cost], (2, 1)),
        reward_terms=-coupling * own_state_terms(2, 2),
        reward_features=Features.build(np.eye(2)),
        state_labels=("first", "second"),
        action_labels=("stay", "switch"),
        layout=_line(2),
    )


@family(coupling=AT_LEAST_ZERO)
def rock_paper_scissors(*, discount: float = 0.9, coupling: float = 1.0) -> MeanFieldGame:
    """Return rock, paper, scissors: the next state is the action, R = coupling (mu(prey of s) - mu(predator of s)).

    R(s,.,mu) = coupling (A mu)(s), A skew-symmetric with rows (0, -1, 1), (1, 0, -1), (-1, 1, 0). The uniform policy is
    an equilibrium for every regularizer, by symmetry; the game has no potential and best responses go round it. Source:
    Bench-MFG; as a mean field game, K. Cui, H. Koeppl, "Approximately Solving Mean Field Games via Entropy-Regularized
    Deep Reinforcement Learning", AISTATS 2021.

    Parameters
    ----------
    discount : float
        gamma in [0, 1).
    coupling : float
        >= 0, what a win is worth.

    Returns
    -------
    MeanFieldGame
    """
    skew = np.array([[0.0, -1.0, 1.0], [1.0, 0.0, -1.0], [-1.0, 1.0, 0.0]])
    transition = np.tile(np.eye(3), (3, 1, 1))
    names = ("rock", "paper", "scissors")
    return MeanFieldGame(
        discount=discount,
        **autonomous(transition),
        base_reward=np.zeros((3, 3)),
        reward_terms=np.repeat(coupling * skew.T[:, :, None], 3, axis=2),
        reward_features=Features.build(np.eye(3)),
        state_labels=names,
        action_labels=names,
        layout=np.array([[0.5, np.sqrt(0.75)], [1.0, 0.0], [0.0, 0.0]]),
    )


@family(coupling=AT_LEAST_ZERO, movement_cost=AT_LEAST_ZERO, centring=AT_LEAST_ZERO, slip=PROBABILITY)
def lasry_lions_chain(
    *,
    n_states: int = 7,
    discount: float = 0.9,
    coupling: float = 40.0,
    movement_cost: float = 2.0,
    centring: float = 3.0,
    slip: float = 0.05,
) -> MeanFieldGame:
    """Return a chain whose agents seek the middle and avoid each other.

    The next state is s + a + noise, clipped to the chain, with a in {-1, 0, 1} and noise -1, 0, 1 with probabilities
    slip/2, 1 - slip, slip/2; R = -movement_cost |a| - centring (s - (S-1)/2)^2 - coupling mu(s), monotone in the sense
    of J.-M. Lasry, P.-L. Lions, "Mean field games", Japanese Journal of Mathematics 2 (2007). Source: Bench-MFG.

    Parameters
    ----------
    n_states : int
        S >= 1.
    discount : float
        gamma in [0, 1).
    coupling : float
        >= 0, the aversion.
    movement_cost : float
        >= 0.
    centring : float
        >= 0.
    slip : float
        Probability in [0, 1] that the noise is not zero.

    Returns
    -------
    MeanFieldGame
    """
    place = np.arange(n_states)
    return _chain(discount, slip, movement_cost, -centring * (place - 0.5 * (n_states - 1)) ** 2, -coupling)


@family(
    attraction=REAL,
    movement_cost=AT_LEAST_ZERO,
    remoteness_cost=AT_LEAST_ZERO,
    separation=AT_LEAST_ZERO,
    slip=PROBABILITY,
)
def multiple_equilibria(
    *,
    n_states: int = 7,
    discount: float = 0.9,
    attraction: float = 5.0,
    movement_cost: float = 4.0,
    remoteness_cost: float = 20.0,
    separation: float = 2.0,
    slip: float = 0.05,
) -> MeanFieldGame:
    """Return a chain with two meeting places, where agents seek company: it has several equilibria.

    Transitions as in `lasry_lions_chain`; R = -movement_cost |a| - remoteness_cost min(|s - l|, |s - r|)
    + attraction mu(s), the places l and r = (S-1)/2 -+ separation/2 (2 and 4 by default). Source: Bench-MFG, after the
    beach bar of S. Perrin, J. Perolat, M. Lauriere, M. Geist, R. Elie, O. Pietquin, "Fictitious Play for Mean Field
    Games", NeurIPS 2020.

    Parameters
    ----------
    n_states : int
        S >= 1.
    discount : float
        gamma in [0, 1).
    attraction : float
        What company is worth; negative where agents avoid each other.
    movement_cost : float
        >= 0.
    remoteness_cost : float
        >= 0, per step from the nearer place.
    separation : float
        >= 0, the distance of the two places.
    slip : float
        Probability in [0, 1] that the noise is not zero.

    Returns
    -------
    MeanFieldGame
    """
    from_centre = np.arange(n_states) - 0.5 * (n_states - 1)
    nearer = np.minimum(np.abs(from_centre - 0.5 * separation), np.abs(from_centre + 0.5 * separation))
    return _chain(discount, slip, movement_cost, -remoteness_cost * nearer, attraction)


@family(movement_cost=AT_LEAST_ZERO, slip=PROBABILITY)
def no_interaction(
    *, n_states: int = 7, discount: float = 0.9, movement_cost: float = 0.1, slip: float = 0.05
) -> MeanFieldGame:
    """Return a chain without interaction, R = -movement_cost |a| + s: a Markov decision process.

    Transitions as in `lasry_lions_chain`. One best response solves it, and every method should. Source: Bench-MFG.

    Parameters
    ----------
    n_states : int
        S >= 1.
    discount : float
        gamma in [0, 1).
    movement_cost : float
        >= 0.
    slip : float
        Probability in [0, 1] that the noise is not zero.

    Returns
    -------
    MeanFieldGame
    """
    return _chain(discount, slip, movement_cost, np.arange(n_states, dtype=float), 0.0)


@family(infection_rate=PROBABILITY, recovery=PROBABILITY, infection_cost=AT_LEAST_ZERO)
def sis_epidemic(
    *,
    n_actions: int = 5,
    discount: float = 0.9,
    infection_rate: float = 0.8,
    recovery: float = 0.1,
    infection_cost: float = 10.0,
) -> MeanFieldGame:
    """Return the SIS epidemic: agents choose how active they are, and infect each other.

    States susceptible and infected; action a is the activity a / (A - 1) in [0, 1]. A susceptible agent is infected
    with probability infection_rate * activity * mu(infected), an infected one recovers with probability recovery;
    R = activity - infection_cost 1{infected}. Without infected agents nobody is ever infected: a policy under which an
    epidemic lasts has two stable populations. Source: Bench-MFG; as a mean field game, K. Cui, H. Koeppl (AISTATS 2021,
    see `rock_paper_scissors`).

    Parameters
    ----------
    n_actions : int
        A >= 1 levels of activity; a single one is 0.
    discount : float
        gamma in [0, 1).
    infection_rate : float
        In [0, 1].
    recovery : float
        In [0, 1].
    infection_cost : float
        >= 0.

    Returns
    -------
    MeanFieldGame
    """
    activity = np.linspace(0.0, 1.0, n_actions)
    transition = np.zeros((2, n_actions, 2))
    transition[0, :, 0] = 1.0
    transition[1] = recovery, 1.0 - recovery
    infection = np.zeros((1, 2, n_actions, 2))
    infection[0, 0] = infection_rate * activity[:, None] * [-1.0, 1.0]
    return MeanFieldGame(
        discount=discount,
        base_transition=transition,
        base_reward=activity - infection_cost * np.array([[0.0], [1.0]]),
        transition_terms=infection,
        transition_features=Features.build([[0.0, 1.0]]),
        reward_terms=np.zeros((0, 2, n_actions)),
        reward_features=Features.none(2),
        state_labels=("susceptible", "infected"),
        action_labels=tuple(f"activity {level:g}" for level in activity),
        layout=_line(2),
    )


@family(capacity=Range(lambda x: 0 < x <= 1, "a number in (0, 1]"), movement_cost=AT_LEAST_ZERO)
def kinetic_congestion(
    *,
    rows: int = 5,
    columns: int = 5,
    discount: float = 0.9,
    capacity: float = 0.18,
    movement_cost: float = 0.1,
) -> MeanFieldGame:
    """Return a crowd that moves to the last cell of a grid, where full cells cannot be entered.

    Cells are numbered row by row from the bottom left; actions up, right, down, left, stay. A move to cell y succeeds
    with probability 1 - min(1, mu(y) / capacity), and leaves the agent where it is otherwise, as does a move off the
    grid; R = -1{s is not the last cell} - movement_cost 1{a is not stay}. Source: Bench-MFG, a discrete form of
    congestion as in Y. Achdou, M. Lauriere, "Mean field games and applications: numerical aspects" (2020).

    Parameters
    ----------
    rows, columns : int
        >= 1. Tables are dense, with 5 (rows columns)^3 entries: 10^5 by default.
    discount : float
        gamma in [0, 1).
    capacity : float
        In (0, 1]: the share of the population that fills a cell.
    movement_cost : float
        >= 0.

    Returns
    -------
    MeanFieldGame
    """
    size = rows * columns
    state = np.arange(size)
    target = grids.displaced(rows, columns, np.array(list(grids.MOVES.values())))
    transition = np.eye(size)[target]
    rejected = np.zeros((size, size, len(grids.MOVES), size))
    for a in range(len(grids.MOVES)):
        moves = np.flatnonzero(target[:, a] != state)
        rejected[target[moves, a], moves, a, target[moves, a]] = -1.0
        rejected[target[moves, a], moves, a, moves] = 1.0
    moving = np.array([name != "stay" for name in grids.MOVES])
    return MeanFieldGame(
        discount=discount,
        base_transition=transition,
        base_reward=-1.0 * (state != size - 1)[:, None] - movement_cost * moving,
        transition_terms=rejected,
        transition_features=Features.build(np.eye(size) / capacity, link="minimum"),
        reward_terms=np.zeros((0, size, len(moving))),
        reward_features=Features.none(size),
        state_labels=grids.state_labels(rows, columns),
        action_labels=tuple(grids.MOVES),
        layout=grids.layout(rows, columns),
    )


@family(coupling=AT_LEAST_ZERO, floor=FLOOR)
def four_rooms(
    *,
    rows: int = 11,
    columns: int = 11,
    discount: float = 0.9,
    coupling: float = 1.0,
    floor: float = 1e-12,
) -> MeanFieldGame:
    """Return a crowd that spreads over four rooms, R = -coupling log max(mu(s), floor).

    The middle row and the middle column of the grid are walls, with a door in the middle of each of their four arms
    ((2,5), (8,5), (5,2), (5,8) by default). An agent proposes to move by its action (up, right, down, left, stay) plus
    a noise move, one of the same five at random; it stays where it is if the proposed cell is a wall or off the grid.
    Walls are states too, which nobody enters. An agent put there goes to a free cell at random, whatever it does: so
    walls have no share in any stable population. (In Bench-MFG it moves like the others, and can choose to stay in the
    empty wall for ever.) Source: Bench-MFG; -log mu(s) as a drive to explore, M. Geist et al., "Concave Utility
    Reinforcement Learning: the Mean-Field Game Viewpoint", AAMAS 2022.

    Parameters
    ----------
    rows, columns : int
        >= 3.
    discount : float
        gamma in [0, 1).
    coupling : float
        >= 0.
    floor : float
        In (0, 1): keeps the reward of a state without agents finite.

    Returns
    -------
    MeanFieldGame
    """
    if min(rows, columns) < 3:
        raise InputError("four_rooms", "rows, columns", (rows, columns), "at least 3 each")
    size, moves = rows * columns, np.array(list(grids.MOVES.values()))
    walls = four_rooms_walls(rows, columns).ravel()
    transition = np.zeros((size, len(moves), size))
    for a, move in enumerate(moves):
        target = grids.displaced(rows, columns, move + moves, walls=walls)
        for reached in target.T:  # noise moves that lead to the same cell add up
            transition[np.arange(size), a, reached] += 1.0 / len(moves)
    transition[walls] = ~walls / np.count_nonzero(~walls)
    return MeanFieldGame(
        discount=discount,
        **autonomous(transition),
        base_reward=np.zeros((size, len(moves))),
        reward_terms=-coupling * own_state_terms(size, len(moves)),
        reward_features=Features.build(np.eye(size), link="floored_log", parameter=floor),
        state_labels=grids.state_labels(rows, columns),
        action_labels=tuple(grids.MOVES),
        layout=grids.layout(rows, columns),
    )


def four_rooms_walls(rows: int, columns: int) -> np.ndarray:
    """Return which cells of `four_rooms` are walls, shape (rows, columns)."""
    row, column = rows // 2, columns // 2
    walls = np.zeros((rows, columns), dtype=bool)
    walls[row], walls[:, column] = True, True
    walls[[row // 2, row + 1 + (rows - row - 1) // 2], column] = False
    walls[row, [column // 2, column + 1 + (columns - column - 1) // 2]] = False
    return walls


def _chain(
    discount: float, slip: float, movement_cost: float, reward_of_state: np.ndarray, weight: float
) -> MeanFieldGame:
    """Return the game on a chain with R = reward_of_state(s) - movement_cost |a| + weight mu(s)."""
    size, moves = len(reward_of_state), np.array(list(CHAIN_MOVES.values()))
    transition = np.zeros((size, len(moves), size))
    for noise, probability in ((-1, 0.5 * slip), (0, 1.0 - slip), (1, 0.5 * slip)):
        target = np.clip(np.arange(size)[:, None] + moves + noise, 0, size - 1)
        for a in range(len(moves)):
            transition[np.arange(size), a, target[:, a]] += probability
    coupled = weight != 0.0
    return MeanFieldGame(
        discount=discount,
        **autonomous(transition),
        base_reward=reward_of_state[:, None] - movement_cost * np.abs(moves),
        reward_terms=weight * own_state_terms(size, len(moves)) if coupled else np.zeros((0, size, len(moves))),
        reward_features=Features.build(np.eye(size)) if coupled else Features.none(size),
        state_labels=tuple(map(str, range(size))),
        action_labels=tuple(CHAIN_MOVES),
        layout=_line(size),
    )


def _line(states: int) -> np.ndarray:
    return np.stack([np.arange(states, dtype=float), np.zeros(states)], axis=1)
