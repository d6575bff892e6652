"""Slow, plain computations that the tests compare the library with, and the games they do it on.

Nothing here calls an operator, a solver or a kernel of the library: only a game's own `transition` and `reward`.
"""

import itertools
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from scipy.sparse import csr_array

from pma_mfg import games
from pma_mfg.games import Features, MeanFieldGame
from pma_mfg.regularizers import Entropy, Quadratic, Regularizer
from pma_mfg.theory import lipschitz

#: Every random family, at a size where brute force is cheap.
FAMILY_PARAMETERS = {
    "affine": {"n_states": 4, "n_actions": 3, "discount": 0.8, "seed": 3},
    "planted_smooth": {"n_states": 4, "n_actions": 3, "discount": 0.9, "seed": 0, "strength": 0.1},
    "planted_kinked": {"n_states": 4, "n_actions": 3, "discount": 0.9, "seed": 1, "strength": 0.2},
    "crowd_averse": {"n_states": 4, "n_actions": 3, "discount": 0.7, "seed": 2},
}
#: The families without a random draw, and without a number of actions of their own.
SYMMETRIC_PARAMETERS = {"coordination": {"n_states": 4, "discount": 0.8, "attraction": 1.5, "slip": 0.2}}
#: Of the literature: sparse with an affine interaction, and a price that depends on the average state.
LITERATURE_PARAMETERS = {
    "garnet": {"n_states": 4, "n_actions": 3, "discount": 0.8, "seed": 1, "n_successors": 2},
    "cournot_investment": {"n_states": 4, "discount": 0.8, "price_slope": 0.5},
}

# link -> (range of weights, offset, parameter): arguments that are admissible on the whole simplex, and cross the kinks
_CURVES = {
    "absolute": ((-1.0, 1.0), 0.0, 0.0),
    "log": ((0.0, 1.5), 0.0, 0.2),
    "minimum": ((0.0, 2.0), 0.0, 0.0),
    "positive": ((-1.0, 1.0), 0.1, 0.0),
    "power": ((0.1, 1.5), 0.0, 1.7),
    "floored_log": ((0.1, 1.5), 0.0, 0.3),
    "reciprocal": ((0.0, 1.5), 0.1, 0.7),
    "exponential": ((-1.0, 0.8), 0.0, 0.0),
}
CURVED_LINKS = list(_CURVES)


def family_game(family: str, **changes: float) -> MeanFieldGame:
    """Return the small game of a family, with some parameters changed."""
    return games.make(family, **((FAMILY_PARAMETERS | SYMMETRIC_PARAMETERS | LITERATURE_PARAMETERS)[family] | changes))


def curved_game(
    link: str, seed: int = 0, n_states: int = 4, n_actions: int = 3, discount: float = 0.8
) -> MeanFieldGame:
    """Return a random game whose transitions and rewards both depend on two features with one non-affine link."""
    rng = np.random.default_rng([seed, CURVED_LINKS.index(link)])
    (low, high), offset, parameter = _CURVES[link]
    rows = rng.dirichlet(np.full(n_states, 0.5), size=(5, n_states, n_actions))
    features = [
        Features.build(rng.uniform(low, high, size=(2, n_states)), offset, link, parameter=parameter) for _ in range(2)
    ]
    # at most 2 features of size < 2.5: what they move stays below the base rows' uniform share, 0.5 / S
    terms = 0.1 / n_states * (rows[1:3] - rows[3:5])
    return MeanFieldGame(
        discount=discount,
        base_transition=0.5 / n_states + 0.5 * rows[0],
        base_reward=rng.uniform(size=(n_states, n_actions)),
        transition_terms=terms,
        transition_features=features[0],
        reward_terms=rng.uniform(-0.5, 0.5, size=(2, n_states, n_actions)),
        reward_features=features[1],
    )


def all_games() -> dict[str, MeanFieldGame]:
    """Return one game of every random family, of some others, and one for every non-affine link, by name."""
    named = FAMILY_PARAMETERS | SYMMETRIC_PARAMETERS | LITERATURE_PARAMETERS
    return {name: family_game(name) for name in named} | {f"link {link}": curved_game(link) for link in CURVED_LINKS}


def frozen_game(transition: np.ndarray, reward: np.ndarray, discount: float) -> MeanFieldGame:
    """Return the game without a mean field that a decision process is."""
    return MeanFieldGame(
        discount=discount,
        base_transition=transition,
        base_reward=reward,
        transition_terms=np.zeros((0, *transition.shape)),
        transition_features=Features.none(len(reward)),
        reward_terms=np.zeros((0, *reward.shape)),
        reward_features=Features.none(len(reward)),
    )


def sparse_copy(game: MeanFieldGame) -> MeanFieldGame:
    """Return the same game with sparse tables and weights."""
    pairs = game.n_states * game.n_actions
    tables = np.concatenate([game.base_transition[None], game.transition_terms]).reshape(-1, pairs, game.n_states)
    rows, columns = np.nonzero((tables != 0.0).any(axis=0))
    starts = np.searchsorted(rows, np.arange(pairs + 1))
    features = {
        f"{kind}_features": replace(of, weights=csr_array(of.weights))
        for kind, of in (("transition", game.transition_features), ("reward", game.reward_features))
    }
    return replace(
        game,
        base_transition=csr_array((tables[0][rows, columns], columns, starts), shape=tables.shape[1:]),
        transition_terms=csr_array(tables[1:][:, rows, columns]),
        reward_terms=csr_array(game.reward_terms.reshape(-1, pairs)),
        **features,
    )


def congested_ring(n_states: int, seed: int = 0) -> MeanFieldGame:
    """Return a sparse game with two actions on a ring with shortcuts: agents leave crowded states more slowly.

    Every state has a feature of its own, min(1, S mu(s) / 3), which moves probability from the next state to staying.
    """
    rng = np.random.default_rng([seed, 5])
    states = np.repeat(np.arange(n_states), 2)  # of each pair of state and action
    pairs = np.arange(2 * n_states)
    shortcut = np.repeat((np.arange(n_states) + rng.integers(2, n_states - 1, size=n_states)) % n_states, 2)
    forward = rng.uniform(0.5, 0.8, size=2 * n_states)
    columns = np.stack([states, (states + 1) % n_states, shortcut], axis=1)
    order = np.argsort(columns, axis=1)
    rows = np.take_along_axis(np.stack([0.9 - forward, forward, np.full(2 * n_states, 0.1)], axis=1), order, axis=1)
    moved = np.take_along_axis(np.broadcast_to([0.2, -0.2, 0.0], rows.shape), order, axis=1)
    starts = np.arange(0, rows.size + 1, 3)
    own_state = csr_array((np.ones(2 * n_states), (states, pairs)), shape=(n_states, 2 * n_states))
    scaled = csr_array((np.full(n_states, n_states / 3.0), (range(n_states), range(n_states))))
    return MeanFieldGame(
        discount=0.9,
        base_transition=csr_array((rows.ravel(), columns[pairs[:, None], order].ravel(), starts)),
        base_reward=rng.uniform(size=(n_states, 2)),
        transition_terms=csr_array((moved.ravel(), (np.repeat(states, 3), np.arange(rows.size)))),
        transition_features=Features.build(scaled, 0.0, "minimum"),
        reward_terms=csr_array(-own_state),
        reward_features=Features.build(scaled),
    )


def random_policy(game: MeanFieldGame, seed: int, concentration: float = 2.0) -> np.ndarray:
    """Return a policy whose rows are independent symmetric Dirichlet draws."""
    rng = np.random.default_rng([seed, 77])
    return rng.dirichlet(np.full(game.n_actions, concentration), size=game.n_states)


def one_step_population(game: MeanFieldGame, mean_field: np.ndarray, policy: np.ndarray) -> np.ndarray:
    """Return where the agents are after one step, summed loop by loop."""
    transition = game.transition(mean_field)
    moved = np.zeros(game.n_states)
    for s, a, y in np.ndindex(game.n_states, game.n_actions, game.n_states):
        moved[y] += mean_field[s] * policy[s, a] * transition[s, a, y]
    return moved


def left_eigenvector(kernel: np.ndarray) -> np.ndarray:
    """Return the stationary law of an irreducible chain as the left eigenvector of the eigenvalue 1."""
    values, vectors = np.linalg.eig(kernel.T)
    vector = np.real(vectors[:, np.argmin(np.abs(values - 1.0))])
    return vector / vector.sum()


def compositions(total: int, parts: int) -> Iterator[tuple[int, ...]]:
    """Yield every way to write `total` as an ordered sum of `parts` nonnegative integers."""
    if parts == 1:
        yield (total,)
        return
    for first in range(total + 1):
        for rest in compositions(total - first, parts - 1):
            yield (first, *rest)


def lumped_chain(
    game: MeanFieldGame, policy: np.ndarray, n_agents: int
) -> tuple[list[tuple[int, tuple[int, ...]]], np.ndarray]:
    """Return the states (tagged state, counts of the others) of the N-agent chain, and its transition matrix.

    The others are moved one by one, so that no multinomial law is taken for granted.
    """
    size = game.n_states
    states = list(itertools.product(range(size), compositions(n_agents - 1, size)))
    index = {state: i for i, state in enumerate(states)}
    matrix = np.zeros((len(states), len(states)))
    for (tagged, others), i in index.items():
        mean_field = (np.array(others) + np.eye(size, dtype=int)[tagged]) / n_agents
        kernel = np.einsum("sa,say->sy", policy, game.transition(mean_field))
        law = {(0,) * size: 1.0}
        for s, count in enumerate(others):
            for _ in range(count):
                grown: dict[tuple[int, ...], float] = {}
                for counts, probability in law.items():
                    for y in range(size):
                        after = (*counts[:y], counts[y] + 1, *counts[y + 1 :])
                        grown[after] = grown.get(after, 0.0) + probability * kernel[s, y]
                law = grown
        for counts, probability in law.items():
            for y in range(size):
                matrix[i, index[y, counts]] += probability * kernel[tagged, y]
    return states, matrix


def _joint_chain(
    game: MeanFieldGame, policy: np.ndarray, n_agents: int
) -> tuple[list[tuple[int, ...]], np.ndarray, dict[tuple[int, ...], np.ndarray]]:
    """Return all joint states of N agents, their transition matrix, and each agent's rows P(y|s_i,a) in each state."""
    size, states = game.n_states, list(itertools.product(range(game.n_states), repeat=n_agents))
    matrix, tables = np.empty((len(states), len(states))), {}
    for i, state in enumerate(states):
        mean_field = np.bincount(state, minlength=size) / n_agents
        tables[state] = game.transition(mean_field)
        law = np.ones(1)
        for s in state:  # independent given the present: a product law, the last agent fastest
            law = np.kron(law, policy[s] @ tables[state][s])
        matrix[i] = law
    return states, matrix, tables


def joint_learning_limit(game: MeanFieldGame, policy: np.ndarray, n_agents: int, entropy: np.ndarray) -> np.ndarray:
    """Return the limit of TD learning for agent 0 from the joint chain of all agents; entropy (S,) is h(pi(s))."""
    states, matrix, tables = _joint_chain(game, policy, n_agents)
    law = left_eigenvector(matrix)
    shape = (game.n_states, game.n_actions)
    visits, reward, moves = np.zeros(game.n_states), np.zeros(shape), np.zeros((*shape, game.n_states))
    for probability, state in zip(law, states, strict=True):
        mean_field = np.bincount(state, minlength=game.n_states) / n_agents
        visits[state[0]] += probability
        reward[state[0]] += probability * game.reward(mean_field)[state[0]]
        moves[state[0]] += probability * tables[state][state[0]]
    reward, moves = reward / visits[:, None], moves / visits[:, None, None]
    q = np.zeros(shape)
    while True:
        updated = reward + game.discount * moves @ ((policy * q).sum(axis=1) + entropy)
        if np.abs(updated - q).max() < 1e-14:
            return updated
        q = updated


def _of_agent_0(
    game: MeanFieldGame,
    policy: np.ndarray,
    states: list[tuple[int, ...]],
    tables: dict[tuple[int, ...], np.ndarray],
) -> tuple[np.ndarray, np.ndarray]:
    """Return moves (X, A, X) of the joint state by the action of agent 0, the others by the policy, and its rewards."""
    moves = np.empty((len(states), game.n_actions, len(states)))
    for i, state in enumerate(states):
        others = np.ones(1)
        for s in state[1:]:
            others = np.kron(others, policy[s] @ tables[state][s])
        moves[i] = [np.kron(tables[state][state[0], a], others) for a in range(game.n_actions)]
    shares = (np.bincount(s, minlength=game.n_states) / len(s) for s in states)
    return moves, np.array([game.reward(mu)[s[0]] for mu, s in zip(shares, states, strict=True)])


def deviators_gain(game: MeanFieldGame, policy: np.ndarray, n_agents: int, regularizer: object) -> float:
    """Return what agent 0 gains by the best policy of the joint state, by value iteration; the others keep theirs."""
    states, matrix, tables = _joint_chain(game, policy, n_agents)
    law = left_eigenvector(matrix)
    moves, rewards = _of_agent_0(game, policy, states, tables)
    kept = policy[[s[0] for s in states]]
    best, own = np.zeros(len(states)), np.zeros(len(states))
    while True:
        q, held = (rewards + game.discount * moves @ value for value in (best, own))
        if regularizer is None:
            improved, kept_value = q.max(axis=1), (kept * held).sum(axis=1)
        else:
            improved, kept_value = regularizer.optimum(q), (kept * held).sum(axis=1) + regularizer.value(kept)
        change = max(np.abs(improved - best).max(), np.abs(kept_value - own).max())
        best, own = improved, kept_value
        if change < 1e-12:
            return float(law @ (best - own))


def own_state_deviators_gain(game: MeanFieldGame, policy: np.ndarray, n_agents: int, regularizer: object) -> float:
    """Return what agent 0 gains by the best policy of its own state, of two actions; the others keep theirs.

    Of all policies on a grid of the simplex, then on grids ten times finer about the best: on the joint chain.
    """
    states, matrix, tables = _joint_chain(game, policy, n_agents)
    law, own = left_eigenvector(matrix), [s[0] for s in states]
    moves, rewards = _of_agent_0(game, policy, states, tables)

    def values(tried: np.ndarray) -> np.ndarray:
        """Return the value of each of B policies (B, S, 2), averaged over the law in which nobody deviates."""
        actions = tried[:, own]
        chains = np.einsum("bxa,xay->bxy", actions, moves)
        earned = (actions * rewards).sum(axis=2)
        if regularizer is not None:
            earned = earned + regularizer.value(tried.reshape(-1, 2)).reshape(tried.shape[:2])[:, own]
        systems = np.eye(len(states)) - game.discount * chains
        return np.linalg.solve(systems, earned[..., None])[..., 0] @ law

    centre, width, points = np.full(game.n_states, 0.5), 0.5, 41 if game.n_states == 2 else 11
    for _ in range(8):
        axes = [np.unique(np.clip(c + width * np.linspace(-1.0, 1.0, points), 0.0, 1.0)) for c in centre]
        first = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, game.n_states)
        found = values(np.stack([first, 1.0 - first], axis=-1))
        centre, width = first[found.argmax()], 4.0 * width / points
    return float(found.max() - values(policy[None])[0])


def xoshiro(words: list[int]) -> int:
    """Return the next number of xoshiro256++ and move its state on: Blackman and Vigna's code, in integers."""

    def turned(x: int, k: int) -> int:
        return ((x << k) | (x >> (64 - k))) % 2**64

    drawn = (turned((words[0] + words[3]) % 2**64, 23) + words[0]) % 2**64
    shifted = (words[1] << 17) % 2**64
    words[2] ^= words[0]
    words[3] ^= words[1]
    words[1] ^= words[2]
    words[0] ^= words[3]
    words[2] ^= shifted
    words[3] = turned(words[3], 45)
    return drawn


def census_game(seed: int) -> tuple[MeanFieldGame, Regularizer]:
    """Return game `seed` of the census of what `equilibrium.solve` solves, and a regularizer.

    By the remainder of 4: random rows; certain moves; two parts between which nobody moves; both. Rewards are affine in
    the mean field, every other four games also have such transitions; strengths are 1e-2 to 1 of the rewards' range.
    """
    rng = np.random.default_rng(seed)
    states, actions = int(rng.integers(2, 13)), int(rng.integers(2, 5))
    discount, certain = rng.uniform(0.5, 0.95), seed % 4 in (1, 3)
    half = int(rng.integers(1, states)) if seed % 4 >= 2 else states
    base = np.zeros((states, actions, states))
    for part in (slice(0, half), slice(half, states)):
        size = part.stop - part.start
        if size and certain:
            base[part, :, part] = np.eye(size)[rng.integers(0, size, size=(size, actions))]
        elif size:
            base[part, :, part] = rng.dirichlet(np.full(size, 0.5), size=(size, actions))
    seen = rng.choice(states, size=int(rng.integers(1, states + 1)), replace=False)
    weights = rng.normal(size=(len(seen), states, actions))
    weights = weights if rng.random() < 0.5 else -np.abs(weights)
    moved, features = np.zeros((0, *base.shape)), Features.none(states)
    if seed // 4 % 2:  # with mu(z) towards what another action does, which keeps parts apart
        moved = (rng.uniform(0.2, 1.0) * (base[:, rng.permutation(actions)] - base))[None]
        features = Features.build(np.eye(states)[[rng.integers(states)]], np.zeros(1))
    game = MeanFieldGame(
        discount=discount,
        base_transition=base,
        base_reward=rng.uniform(size=(states, actions)),
        transition_terms=moved,
        transition_features=features,
        reward_terms=10.0 ** rng.uniform(-1.0, 1.0) * weights,
        reward_features=Features.build(np.eye(states)[seen], np.zeros(len(seen))),
    )
    lowest, highest = lipschitz.reward_range(game)
    strength = (highest - lowest) * 10.0 ** rng.uniform(-2.0, 0.0)
    return game, (Entropy, Quadratic)[seed // 8 % 2](strength)
