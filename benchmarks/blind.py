"""How far `pma-mfg learn` comes, untuned: the table of docs/theory, section 10.11.

    python benchmarks/blind.py config/config.yaml [GAME.py STRENGTH ...] > table.md
    python benchmarks/blind.py --drawn 24 72 > table.md

All games of a configuration, and files with the strength of the entropy; or random games in which agents move nearly
deterministically and avoid each other, drawn from the seeds 24 to 71. N = 10^3 and 10^6, three seeds each, default
budgets. Exploitability (regularized) in units of the rewards' range. Minutes; nothing is asserted here.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import yaml

from pma_mfg import equilibrium, games, operators, regularizers, seeds
from pma_mfg.games import MeanFieldGame
from pma_mfg.games.features import Features, autonomous, own_state_terms
from pma_mfg.learning import algorithms as learning
from pma_mfg.theory import lipschitz


def drawn(seed: int) -> tuple[MeanFieldGame, str, float]:
    """Return a random game of nearly deterministic moves and crowd aversion, with the strength of an entropy."""
    rng = np.random.default_rng([seed, 99])
    size, n_actions = int(rng.integers(4, 13)), int(rng.integers(2, 5))
    slip, discount, kind = rng.choice([0.01, 0.03, 0.1]), float(rng.choice([0.8, 0.9, 0.95])), int(rng.integers(3))
    moves = np.full((size, n_actions, size), slip / size)
    for s in range(size):
        for a in range(n_actions):
            by = s + a - n_actions // 2
            # on a ring, on a line, or to states drawn at random
            moves[s, a, (by % size, min(size - 1, max(0, by)), int(rng.integers(size)))[kind]] += 1.0 - slip
    aversion, target, cost = rng.choice([0.5, 1.0, 2.0, 4.0]), rng.uniform(size=size), rng.uniform(0, 0.1, n_actions)
    game = MeanFieldGame(
        discount=discount,
        base_reward=target[:, None] - cost,
        reward_terms=-aversion * own_state_terms(size, n_actions),
        reward_features=Features.build(np.eye(size)),
        **autonomous(moves),
    )
    return game, "entropy", float(rng.choice([0.05, 0.1, 0.3]))


def main(config: str, *files: str) -> None:
    """Print a row per game."""
    if config == "--drawn":
        members = {f"drawn {seed}": drawn(seed) for seed in range(*map(int, files))}
    else:
        members = {
            name: (games.make(entry["family"], **entry["parameters"]), entry["regularizer"], entry["strength"])
            for name, entry in yaml.safe_load(Path(config).read_text())["games"].items()
        }
        for path, strength in zip(files[::2], files[1::2], strict=True):
            members[f"{Path(path).stem} ({strength})"] = games.load(path), "entropy", float(strength)
    print("| game | S, A | samples | start | worst end, N = 10^3 | worst end, N = 10^6 | pairs unseen |")
    print("|---|---|---|---|---|---|---|")
    for name, (game, kind, strength) in members.items():
        regularizer = regularizers.make(kind, strength)
        unit = np.subtract(*lipschitz.reward_range(game)[::-1])
        start = equilibrium.exploitability(game, operators.uniform_policy(game), regularizer) / unit
        worst, unseen = [], 0
        for n_agents in (10**3, 10**6):
            ends = []
            for seed in range(3):
                *_, last = learning.blind(
                    game, n_agents, regularizer, rng=seeds.generator(seed, "blind", name, n_agents)
                )
                ends.append(equilibrium.exploitability(game, last.policy, regularizer) / unit)
                unseen = max(unseen, int((last.visits == 0.0).sum()))
            worst.append(max(ends))
        shown = f"{abs(start):.2g} | {worst[0]:.1g} | {worst[1]:.1g} | {unseen}"
        print(f"| {name} | {game.n_states}, {game.n_actions} | {last.samples} | {shown} |", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
