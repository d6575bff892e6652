"""How far `pma-mfg learn` comes, untuned: the table of docs/theory, section 10.11.

    python benchmarks/blind.py config/config.yaml [GAME.py STRENGTH ...] > table.md

All games of a configuration, and files with the strength of the entropy; N = 10^3 and 10^6, three seeds each, default
budgets. Exploitability (regularized) in units of the rewards' range. Minutes; nothing is asserted here.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import yaml

from pma_mfg import equilibrium, games, operators, regularizers, seeds
from pma_mfg.learning import algorithms as learning
from pma_mfg.theory import lipschitz


def main(config: str, *files: str) -> None:
    """Print a row per game."""
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
