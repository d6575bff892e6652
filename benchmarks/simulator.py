"""Time the counts simulator against its baselines, both sides in this run: `make bench`.

The work is TD learning (Algorithm 1) on one trajectory of the N-agent game. The baseline is the same algorithm as a
numpy loop over steps: one multinomial call for all states, the same averaged transition tables, features of an affine
game by one product. Sides alternate, and the median of the ratios is reported, so that a machine whose speed drifts
does not favour one of them. Nothing is asserted here.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import numpy as np

from pma_mfg import games, learning
from pma_mfg.games import MeanFieldGame
from pma_mfg.regularizers import Entropy
from pma_mfg.simulation import initial_population

REPEATS = 7
REGULARIZER = Entropy(0.1)


def numpy_loop(
    game: MeanFieldGame, policy: np.ndarray, n_agents: int, n_updates: int, rng: np.random.Generator
) -> np.ndarray:
    """TD learning without waiting steps, one numpy step at a time; returns Q, shape (S, A)."""
    population = initial_population(game, n_agents, rng)
    others, (state, action) = population.others, population.tagged.tolist()
    last_state, last_action = game.n_states - 1, game.n_actions - 1
    # every link of this family is the identity: features are affine, and tables flat for one product
    (W_P, b_P), (W_R, b_R) = ((f.weights, f.offsets) for f in (game.transition_features, game.reward_features))
    shared_base = np.einsum("sa,say->sy", policy, game.base_transition)
    shared_terms = np.einsum("sa,ksay->ksy", policy, game.transition_terms).reshape(len(b_P), -1)
    rows_base, rewards_base = game.base_transition, game.base_reward.tolist()
    rows_terms = np.ascontiguousarray(np.moveaxis(game.transition_terms, 0, 2))
    rewards_terms = np.ascontiguousarray(np.moveaxis(game.reward_terms, 0, 2))
    entropy, cumulative_policy = REGULARIZER.value(policy).tolist(), policy.cumsum(axis=1)
    scale, discount = learning.td_scale(game, policy), game.discount
    q = np.zeros_like(policy)
    for m in range(n_updates):
        mean_field = others / n_agents
        mean_field[state] += 1.0 / n_agents
        phi = W_P @ mean_field + b_P
        row = rows_base[state, action] + phi @ rows_terms[state, action]
        first, second = rng.random(2)
        next_state = min(int(row.cumsum().searchsorted(first)), last_state)
        next_action = min(int(cumulative_policy[next_state].searchsorted(second)), last_action)
        kernel = shared_base + (phi @ shared_terms).reshape(shared_base.shape)
        others = rng.multinomial(others, kernel).sum(axis=0)
        reward = rewards_base[state][action] + (W_R @ mean_field + b_R) @ rewards_terms[state, action]
        target = reward + discount * (q[next_state, next_action] + entropy[next_state])
        q[state, action] += scale / (m + scale) * (target - q[state, action])
        state, action = next_state, next_action
    return q


def compiled(
    game: MeanFieldGame, policy: np.ndarray, n_agents: int, n_updates: int, rng: np.random.Generator
) -> np.ndarray:
    """The same work by the library; returns Q, shape (S, A)."""
    scale = learning.td_scale(game, policy)
    return learning.ctd(game, policy, n_agents, REGULARIZER, n_updates, 0, scale, scale, rng)


def microseconds(run: Callable[..., object], game: MeanFieldGame, n_agents: int, n_steps: int, seed: int) -> float:
    """Return the time per step of one call."""
    rng = np.random.default_rng(seed)
    start = time.perf_counter()
    run(game, game.planted.policy, n_agents, n_steps, rng)
    return (time.perf_counter() - start) / n_steps * 1e6


def median_ratio(numerators: list[float], denominators: list[float]) -> float:
    """Return the median of the ratios of runs that stood next to each other."""
    return statistics.median(a / b for a, b in zip(numerators, denominators, strict=True))


def main() -> None:
    """Print one line per comparison."""
    print(f"median of {REPEATS} alternating runs; times in microseconds per step of the N-agent game\n")
    print("against a numpy loop over steps of the same algorithm, N = 10^6")
    print(f"{'S':>4} {'numpy loop':>12} {'library':>10} {'ratio':>8}")
    for n_states in (5, 10, 50):
        game = planted(n_states)
        steps = 200_000 // n_states
        loops, ours = [], []
        for seed in range(REPEATS):
            loops.append(microseconds(numpy_loop, game, 10**6, steps // 20, seed))
            ours.append(microseconds(compiled, game, 10**6, steps, seed))
        print(
            f"{n_states:4d} {statistics.median(loops):12.1f} {statistics.median(ours):10.2f} "
            f"{median_ratio(loops, ours):7.1f}x"
        )

    print("\ntime per step against the number of agents, S = 5")
    game = planted(5)
    times: dict[int, list[float]] = {10**power: [] for power in range(4, 10)}
    for seed in range(REPEATS):
        for n_agents, runs in times.items():
            runs.append(microseconds(compiled, game, n_agents, 40_000, seed))
    for n_agents, runs in times.items():
        power = len(str(n_agents)) - 1
        print(f"  N = 10^{power}: {statistics.median(runs):6.2f}, {median_ratio(runs, times[10**4]):.2f}x N = 10^4")


def planted(n_states: int) -> MeanFieldGame:
    """Return a planted game with mean-field coupling in rewards and transitions."""
    return games.make("planted_smooth", n_states=n_states, n_actions=3, discount=0.8, seed=1, strength=0.1)


if __name__ == "__main__":
    main()
