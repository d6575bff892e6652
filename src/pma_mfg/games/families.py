"""Families of games: affine with target Lipschitz constants, planted equilibria, crowd aversion, coordination.

Each function is entered in `registry`, which makes and checks them by name. Games from papers are in `benchmarks` and
`literature`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy
from scipy.sparse import csr_array, eye_array

from pma_mfg.errors import InputError
from pma_mfg.games.features import Features, autonomous, own_state_terms
from pma_mfg.games.model import MeanFieldGame, Planted
from pma_mfg.games.registry import AT_LEAST_ZERO, AT_MOST_ALL_STATES, POSITIVE, PROBABILITY, REAL, Range, family

#: Random transition rows are drawn from the symmetric Dirichlet distribution with this concentration. Below 1, most of
#: a row's probability is on a few states, so that rows differ much.
ROW_CONCENTRATION = 0.5

#: Relative difference up to which two numbers count as equal in the checks of planted games and of couplings.
ROUNDING = 1e-12

#: Weight of the uniform distribution in the transition rows of random games, so that every state keeps being visited
#: (Assumption 4).
UNIFORM_SHARE = 0.2

#: Values of the l1 distance between two distributions.
DISTANCE = Range(lambda x: 0 <= x <= 2, "a number in [0, 2]")


def _cubed(values: dict[str, Any]) -> int:
    """Return S^3 A, the entries of the transition terms of a game with a feature for each state."""
    return int(values["n_states"] ** 3 * values["n_actions"])


@family(
    entries=_cubed,
    K_mu=DISTANCE,
    K_s=DISTANCE,
    K_a=DISTANCE,
    L_mu=AT_LEAST_ZERO,
    L_s=AT_LEAST_ZERO,
    L_a=AT_LEAST_ZERO,
)
def affine(
    *,
    n_states: int,
    n_actions: int,
    discount: float,
    seed: int,
    K_mu: float = 0.3,
    K_s: float = 0.6,
    K_a: float = 0.6,
    L_mu: float = 0.3,
    L_s: float = 0.5,
    L_a: float = 0.5,
) -> MeanFieldGame:
    """Return a random game, affine in the mean field, with bounded Lipschitz constants.

    P(.|s,a,mu) = sum_z mu(z) T(s,a,z,.) and R(s,a,mu) = sum_z mu(z) U(s,a,z) for random tables T and U that
    `_shrink_to_targets` has pulled towards their averages. The game's exact constants (`theory.lipschitz.constants`)
    are at most the targets; one stays below its own where the draw, or what the other targets leave of it, is flatter
    already (docs/theory, section 6).

    Parameters
    ----------
    n_states, n_actions : int
        S >= 1 and A >= 1.
    discount : float
        gamma in [0, 1).
    seed : int
        >= 0.
    K_mu, K_s, K_a : float
        Targets of the Lipschitz constants of P in the mean field, the state and the action, in [0, 2].
    L_mu, L_s, L_a : float
        Targets of the Lipschitz constants of R, >= 0; R lies in [0, 1], so values above 1 do not bind.

    Returns
    -------
    MeanFieldGame
    """
    rng = np.random.default_rng([seed, 0])
    shape = (n_states, n_actions, n_states)
    rows = rng.dirichlet(np.full(n_states, ROW_CONCENTRATION), size=shape)
    rewards = rng.uniform(size=(*shape, 1))
    rows = _shrink_to_targets(rows, K_s, K_a, K_mu)
    rewards = _shrink_to_targets(rewards, L_s, L_a, L_mu)[..., 0]
    base_transition, transition_terms = _centred(rows)
    base_reward, reward_terms = _centred(rewards)
    return MeanFieldGame(
        discount=discount,
        base_transition=base_transition,
        base_reward=base_reward,
        transition_terms=transition_terms,
        transition_features=Features.build(np.eye(n_states)),
        reward_terms=reward_terms,
        reward_features=Features.build(np.eye(n_states)),
    )


@family(entries=_cubed, strength=POSITIVE, coupling=AT_LEAST_ZERO, K_mu=DISTANCE)
def planted_smooth(
    *,
    n_states: int,
    n_actions: int,
    discount: float,
    seed: int,
    strength: float,
    coupling: float | None = None,
    K_mu: float = 0.2,
) -> MeanFieldGame:
    """Return a game with a known equilibrium whose reward is affine in the mean field (docs/theory, section 6.2).

    R(s,a,mu) = R*(s,a) + sum_z Z(s,a,z) (mu(z) - mu*(z)), transitions affine in the mean field.

    Parameters
    ----------
    n_states, n_actions, discount, seed
        As in `affine`.
    strength : float
        tau > 0, the entropy weight of the planted equilibrium.
    coupling : float, optional
        Bound on |Z(s,a,z)|, which is uniform below it, >= 0. What keeps R in [0, 1] is accepted, 1/8 at least; the
        largest such one if it is left out.
    K_mu : float
        Target of the Lipschitz constant of P in the mean field, in [0, 2].

    Returns
    -------
    MeanFieldGame
        With `planted` set.
    """
    return _planted(
        "identity",
        n_states=n_states,
        n_actions=n_actions,
        discount=discount,
        seed=seed,
        strength=strength,
        coupling=coupling,
        K_mu=K_mu,
    )


@family(entries=_cubed, strength=POSITIVE, coupling=AT_LEAST_ZERO, K_mu=DISTANCE)
def planted_kinked(
    *,
    n_states: int,
    n_actions: int,
    discount: float,
    seed: int,
    strength: float,
    coupling: float | None = None,
    K_mu: float = 0.2,
) -> MeanFieldGame:
    """Return a game with a known equilibrium at which the reward has kinks (docs/theory, section 6.2).

    R(s,a,mu) = R*(s,a) + sum_z W(s,a,z) |mu(z) - mu*(z)|: Lipschitz, and not differentiable at the equilibrium.

    Parameters
    ----------
    n_states, n_actions, discount, seed, strength, coupling, K_mu
        As in `planted_smooth`.

    Returns
    -------
    MeanFieldGame
        With `planted` set.
    """
    return _planted(
        "absolute",
        n_states=n_states,
        n_actions=n_actions,
        discount=discount,
        seed=seed,
        strength=strength,
        coupling=coupling,
        K_mu=K_mu,
    )


@family(coupling=AT_LEAST_ZERO, K_a=DISTANCE, limits={"n_successors": AT_MOST_ALL_STATES})
def crowd_averse(
    *,
    n_states: int,
    n_actions: int,
    discount: float,
    seed: int,
    coupling: float = 2.0,
    K_a: float = 1.5,
    n_successors: int | None = None,
) -> MeanFieldGame:
    """Return a game in which agents avoid each other: R(s,a,mu) = r(s,a) - coupling * mu(s), P free of the mean field.

    The equilibrium is unique if sqrt(S) (1 - gamma) < 1 - gamma delta; monotonicity alone is not enough for stationary
    populations (docs/theory, section 6.3, with a counter-example). A strong coupling with a weak regularizer makes
    best-response iteration cycle.

    Parameters
    ----------
    n_states, n_actions, discount, seed
        As in `affine`.
    coupling : float
        Strength of the aversion, >= 0.
    K_a : float
        Target of the Lipschitz constant of P in the action, in [0, 2]: how much an agent can steer.
    n_successors : int, optional
        From 1 to S: how many states can follow a state. All can if it is left out; if not, the game is sparse, and
        every policy visits every state, since state s + 1 is among the successors of s (and 0 of the last).

    Returns
    -------
    MeanFieldGame
    """
    rng = np.random.default_rng([seed, 2])
    if n_successors is not None:
        return _sparse_crowd(
            n_states, n_actions, discount=discount, coupling=coupling, K_a=K_a, successors=n_successors, rng=rng
        )
    rows = rng.dirichlet(np.full(n_states, ROW_CONCENTRATION), size=(n_states, n_actions, 1))
    rows = _shrink_to_targets(rows, 2.0, K_a, 2.0)[:, :, 0]
    return MeanFieldGame(
        discount=discount,
        **autonomous(rows),
        base_reward=rng.uniform(size=(n_states, n_actions)),
        reward_terms=-coupling * own_state_terms(n_states, n_actions),
        reward_features=Features.build(np.eye(n_states)),
    )


def _sparse_crowd(
    states: int,
    actions: int,
    *,
    discount: float,
    coupling: float,
    K_a: float,
    successors: int,
    rng: np.random.Generator,
) -> MeanFieldGame:
    # the next state on the ring, and others: numbers 0..S-2 stand for the states that are not the next one
    others = np.array([rng.choice(states - 1, successors - 1, replace=False) for _ in range(states)], dtype=np.int64)
    following = (np.arange(states)[:, None] + 1) % states
    others = (following + 1 + others.reshape(states, successors - 1)) % states
    columns = np.sort(np.hstack([following, others]), axis=1)
    rows = rng.dirichlet(np.full(successors, ROW_CONCENTRATION), size=(states, actions))
    rows = UNIFORM_SHARE / successors + (1.0 - UNIFORM_SHARE) * rows
    steering = max(float(np.abs(rows - rows[:, [a]]).sum(axis=2).max()) for a in range(actions))
    theta = min(1.0, K_a / steering) if steering > 0.0 else 1.0
    rows = theta * rows + (1.0 - theta) * rows.mean(axis=1, keepdims=True)
    starts = np.arange(0, rows.size + 1, successors)
    transition = csr_array(
        (rows.ravel(), np.repeat(columns, actions, axis=0).ravel(), starts), shape=(states * actions, states)
    )
    pairs = np.arange(states * actions)
    own_state = csr_array((np.ones(len(pairs)), (pairs // actions, pairs)), shape=(states, len(pairs)))
    return MeanFieldGame(
        discount=discount,
        base_transition=transition,
        base_reward=rng.uniform(size=(states, actions)),
        transition_terms=csr_array((0, transition.nnz)),
        transition_features=Features.none(states),
        reward_terms=csr_array(-coupling * own_state),
        reward_features=Features.build(csr_array(eye_array(states))),
    )


@family(entries=lambda p: p["n_states"] ** 2 * max(5, p["n_states"]), attraction=REAL, slip=PROBABILITY)
def coordination(*, n_states: int, discount: float, attraction: float, slip: float = 0.1) -> MeanFieldGame:
    """Return a symmetric game in which action a means "go to state a": agents seek each other, or avoid each other.

    P(y|s,a) = (1 - slip) 1{y = a} + slip / S and R(s,a,mu) = attraction * mu(s). The uniform policy is an equilibrium
    for every regularizer, and the Jacobian of the best response there is known in closed form (docs/theory, section
    6.4).

    Parameters
    ----------
    n_states : int
        S >= 1, the number of actions as well.
    discount : float
        gamma in [0, 1).
    attraction : float
        What a state is worth per share of agents in it; negative where agents avoid each other.
    slip : float
        Probability of going to a random state instead, in [0, 1].

    Returns
    -------
    MeanFieldGame
    """
    goes = np.broadcast_to(np.eye(n_states), (n_states, n_states, n_states))
    return MeanFieldGame(
        discount=discount,
        **autonomous((1.0 - slip) * goes + slip / n_states),
        base_reward=np.zeros((n_states, n_states)),
        reward_terms=attraction * own_state_terms(n_states, n_states),
        reward_features=Features.build(np.eye(n_states)),
    )


def _shrink_to_targets(table: np.ndarray, state: float, action: float, mean_field: float) -> np.ndarray:
    """Pull a table of shape (S, A, Z, D) towards its averages until its three Lipschitz constants meet their targets.

    Along each of the first three axes the table x becomes theta x + (1-theta) mean(x). The constant of that axis is
    multiplied by theta, and no other constant grows, since an average of differences is no longer than the longest. The
    three maps commute, so each constant is linear in its own theta given the others: raise the thetas sweep by sweep,
    then lower them once more, which makes every target an upper bound (docs/theory, section 6).
    """
    targets = (state, action, mean_field)
    thetas = np.ones(3)

    def shrunk() -> np.ndarray:
        x = table
        for axis, theta in enumerate(thetas):
            x = theta * x + (1.0 - theta) * x.mean(axis=axis, keepdims=True)
        return x

    def lower_or_raise(ceiling: np.ndarray) -> None:
        for axis, target in enumerate(targets):
            constant = _constant_along(shrunk(), axis)
            if constant > 0.0:
                thetas[axis] = min(ceiling[axis], thetas[axis] * target / constant)

    for _ in range(20):
        lower_or_raise(np.ones(3))
    lower_or_raise(thetas.copy())
    return shrunk()


def _constant_along(table: np.ndarray, axis: int) -> float:
    """Return the Lipschitz constant of a (S, A, Z, D) table along one of its first three axes.

    Along the mean field (axis 2) half the largest distance: mu - mu' is a combination of (e_z - e_z')/2 of total weight
    at most ||mu - mu'||_1.
    """
    x = np.moveaxis(table, axis, 0)
    largest = max((float(np.abs(x - x[i]).sum(axis=-1).max()) for i in range(len(x))), default=0.0)
    return largest / 2.0 if axis == 2 else largest


def _centred(table: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Split an (S, A, Z, ...) table into its average over z and the deviations, shape (Z, S, A, ...)."""
    base = table.mean(axis=2)
    return base, np.moveaxis(table, 2, 0) - base


def _planted(
    link: str,
    *,
    n_states: int,
    n_actions: int,
    discount: float,
    seed: int,
    strength: float,
    coupling: float | None,
    K_mu: float,
) -> MeanFieldGame:
    # imported here, as only planting an equilibrium needs it; operators are built on games
    from pma_mfg import operators

    rng = np.random.default_rng([seed, 1])
    rows = rng.dirichlet(np.full(n_states, ROW_CONCENTRATION), size=(n_states, n_actions, n_states))
    rows = UNIFORM_SHARE / n_states + (1.0 - UNIFORM_SHARE) * rows
    rows = _shrink_to_targets(rows, 2.0, 2.0, K_mu)
    base_transition, transition_terms = _centred(rows)
    logits = rng.uniform(-1.5, 1.5, size=(n_states, n_actions))
    value = rng.uniform(-0.2, 0.2, size=n_states)
    drawn = rng.uniform(-1.0, 1.0, size=(n_states, n_states, n_actions))
    terms = drawn if coupling is None else coupling * drawn
    dynamics = MeanFieldGame(
        discount=discount,
        base_transition=base_transition,
        base_reward=np.zeros((n_states, n_actions)),
        transition_terms=transition_terms,
        transition_features=Features.build(np.eye(n_states)),
        reward_terms=np.zeros((0, n_states, n_actions)),
        reward_features=Features.none(n_states),
    )
    # Logits and values shrink together until the uncoupled reward takes half of [0, 1]; the coupling gets the rest.
    scale = 1.0
    while True:
        policy = scipy.special.softmax(scale * logits, axis=1)
        v = scale * value
        reward = strength * np.log(policy) + v[:, None]
        # P(mu) v lies within the range of v: where this is above one half, the reward's range is too, whatever mu is
        if np.ptp(reward) - discount * np.ptp(v) <= 0.5 + ROUNDING * (1.0 + np.abs(reward).max()):
            mean_field = operators.stable_population(dynamics, policy)
            reward = reward - discount * dynamics.transition(mean_field) @ v
            if np.ptp(reward) <= 0.5:
                break
        scale *= 0.95
    # |sum_z Z(z) x(z)| <= max_z |Z(z)| ||x||_1, and two mean fields are at most 2 apart
    largest = 0.25 * (1.0 - np.ptp(reward)) / float(np.abs(drawn).max())
    if coupling is None:
        terms = drawn * largest
    elif coupling > largest * (1.0 + ROUNDING):
        possible = np.floor(largest * 1e8) / 1e8
        allowed = (
            f"a number from 0 to {possible:.8f}, the largest that keeps rewards in [0, 1], or none, which takes it"
        )
        raise InputError("games.make", "coupling", coupling, allowed)
    return MeanFieldGame(
        discount=discount,
        base_transition=base_transition,
        # a constant added to every reward moves V and nothing else; it centres the range in [0, 1]
        base_reward=reward + 0.5 * (1.0 - reward.min() - reward.max()),
        transition_terms=transition_terms,
        transition_features=dynamics.transition_features,
        reward_terms=terms,
        reward_features=Features.build(np.eye(n_states), -mean_field, link),
        planted=Planted(policy, mean_field, strength),
    )
