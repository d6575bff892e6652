"""Time the exact methods against those of other libraries, on the same games: `make bench-peers`.

Prints the page benchmarks/peers.md. One iteration each: of policy mirror ascent here, of online mirror descent in
MFGLib, OpenSpiel and Bench-MFG. Then the time until the exploitability, without a regularizer, is at most 1e-6. MFGLib
and OpenSpiel solve the game of times 0, ..., T - 1, with a policy for each time, and this library the stationary one,
as Bench-MFG does: the iterations do not do the same work, only what each library needs for its answer. All are
processor times, the sides take turns, and nothing is asserted here.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable, Iterator

import jax
import numpy as np
import torch
from benchmfg.envs.mfg_model_class_jit import EnvSpec, Q_eval_jax, mean_field_by_transition_kernel_multi_jax
from benchmfg.envs.rock_paper_scissors import rock_paper_scissors_jit as their_rock
from benchmfg.utility.policy_average import softmax_policy_jax
from mfglib.alg import OnlineMirrorDescent
from mfglib.scoring import exploitability_score
from open_spiel.python.mfg.algorithms import mirror_descent, nash_conv
from timing import alternating, median_ratio

from pma_mfg import equilibrium, games, operators, paths
from pma_mfg.games import Game
from pma_mfg.interop import mfglib, openspiel
from pma_mfg.regularizers import Entropy

GAMES = {
    "beach bar": games.make("beach_bar"),
    "rock-paper-scissors": games.make("rock_paper_scissors"),
    "10 x 10 crowd": games.make("crowd_modelling_2d", size=10, noise=0.2),
}

TARGET = 1e-6

#: Times of MFGLib's games; of OpenSpiel's, whose games in Python take seconds per iteration with more, and of its
#: largest.
HORIZON, FEW_TIMES, FEWEST_TIMES = 100, 5, 2

#: Seconds of the processor after which a method is given up.
LIMIT = 5.0

REGULARIZER = Entropy(0.1)


def our_iteration(game: Game) -> Callable[[], None]:
    """Return one iteration of policy mirror ascent: stable population, Q-function, mirror step."""
    policy = operators.uniform_policy(game)

    def run() -> None:
        nonlocal policy
        mean_field = operators.stable_population(game, policy)
        q = operators.q_values(game, policy, mean_field, regularizer=REGULARIZER)
        policy = operators.mirror_ascent_step(q, policy, 1.0, regularizer=REGULARIZER)

    return run


def mfglib_iteration(game: Game) -> tuple[Callable[[], None], Callable[[], float]]:
    """Return one iteration of MFGLib's online mirror descent, and the exploitability that it has reached."""
    environment = mfglib.environment(game, HORIZON)
    method = OnlineMirrorDescent()
    uniform = torch.full((HORIZON + 1, game.n_states, game.n_actions), 1.0 / game.n_actions)
    state = method.init_state(environment, uniform)

    def run() -> None:
        nonlocal state
        state = method.step_next_state(state, None, None)

    return run, lambda: float(exploitability_score(environment, state.pi))


def openspiel_iteration(game: Game) -> tuple[Callable[[], None], Callable[[], float]]:
    """Return one iteration of OpenSpiel's mirror descent, and the exploitability that it has reached."""
    spiel = openspiel.mean_field_game(game, FEW_TIMES if game.n_states < 100 else FEWEST_TIMES)
    method = mirror_descent.MirrorDescent(spiel)
    return method.iteration, lambda: float(nash_conv.NashConv(spiel, method.get_policy()).nash_conv())


def bench_mfg_iteration() -> Callable[[], None]:
    """Return one iteration of Bench-MFG's online mirror descent in JAX, in rock-paper-scissors."""
    start = np.full(3, 1.0 / 3.0)
    sizes = {"N_states": 3, "N_actions": 3, "N_noises": 1, "noise_prob": np.ones(1)}
    discount = GAMES["rock-paper-scissors"].discount
    environment = their_rock.RockPaperScissors(horizon=HORIZON, mean_field=start, gamma=discount, **sizes)
    spec = EnvSpec(environment, their_rock.transition_rock_paper_scissors, their_rock.reward_rock_paper_scissors)
    policy, mean_field, total = (jax.numpy.asarray(x) for x in (np.full((3, 3), 1.0 / 3.0), start, np.zeros((3, 3))))

    def run() -> None:
        nonlocal policy, mean_field, total
        total = total + 0.1 * Q_eval_jax(policy, mean_field, spec)
        policy = softmax_policy_jax(total, 0.1)
        mean_field = mean_field_by_transition_kernel_multi_jax(
            policy, spec, num_iterations=20, initial_mean_field=mean_field
        )
        jax.block_until_ready(mean_field)

    return run


def repeated(run: Callable[[], None]) -> Callable[[int], int]:
    """Return a side of a comparison: as many iterations as take some tenths of a second."""
    run()
    begin = time.process_time()
    run()
    count = max(1, int(0.2 / max(1e-5, time.process_time() - begin)))

    def side(seed: int) -> int:
        for _ in range(count):
            run()
        return count

    return side


def iterations() -> Iterator[str]:
    """Yield the table of one iteration."""
    yield "| milliseconds | this library | MFGLib | OpenSpiel | Bench-MFG |\n|---|---|---|---|---|"
    for name, game in GAMES.items():
        sides = {"ours": our_iteration(game), "MFGLib": mfglib_iteration(game)[0]}
        sides["OpenSpiel"] = openspiel_iteration(game)[0]
        if name == "rock-paper-scissors":
            sides["Bench-MFG"] = bench_mfg_iteration()
        times = alternating({side: repeated(run) for side, run in sides.items()}, 3, time.process_time)
        cells = [f"{statistics.median(times['ours']) / 1000.0:.3g}"]
        for side in ("MFGLib", "OpenSpiel", "Bench-MFG"):
            if side in times:
                ratio = median_ratio(times[side], times["ours"])
                cells.append(f"{statistics.median(times[side]) / 1000.0:.3g} ({ratio:,.3g}x)")
            else:
                cells.append("has no such game")
        yield f"| {name} | {' | '.join(cells)} |"


def until_target(run: Callable[[], None], reached: Callable[[], float]) -> tuple[float, float]:
    """Return the seconds of iterations alone until the target or the limit, and the exploitability there."""
    used, count = 0.0, 1
    while True:
        begin = time.process_time()
        for _ in range(count):
            run()
        used += time.process_time() - begin
        left = reached()
        if left <= TARGET or used > LIMIT:
            return used, left
        count = max(1, min(2 * count, int(count * (LIMIT - used) / used) + 1))


def exactly(game: Game) -> tuple[float, float]:
    """Return the seconds that the path to an equilibrium without a regularizer takes, and its exploitability."""
    begin = time.process_time()
    path = paths.equilibrium_path(game, Entropy(1.0))
    found = paths.polish(game, path.last.policy, mean_field=path.last.mean_field)
    return time.process_time() - begin, max(0.0, equilibrium.exploitability(game, found.policy))


def to_target() -> Iterator[str]:
    """Yield the table of the time to the target."""
    yield "| seconds | this library | MFGLib | OpenSpiel |\n|---|---|---|---|"
    for name, game in GAMES.items():
        exactly(game)
        ours, left = exactly(game)
        cells = [f"{ours:.3g} (left: {left:.1g})"]
        for side in (mfglib_iteration, openspiel_iteration):
            theirs, left = until_target(*side(game))
            told = f"{theirs:.3g} ({theirs / ours:,.3g}x)"
            cells.append(told if left <= TARGET else f"not in {theirs:.3g} ({theirs / ours:,.3g}x; left: {left:.1g})")
        yield f"| {name} | {' | '.join(cells)} |"


def main() -> None:
    """Print the page."""
    torch.set_default_dtype(torch.float64)
    torch.set_num_threads(1)
    sys.setrecursionlimit(10**5)
    print("Written by `benchmarks/peers.py`: processor times, and in brackets how many times this library's. MFGLib")
    print(f"solves the game of {HORIZON} times, OpenSpiel that of {FEW_TIMES}, of the crowd {FEWEST_TIMES}; Bench-MFG")
    print("and this library the stationary one.\n")
    print("One iteration, of policy mirror ascent here, of online mirror descent there:\n")
    for row in iterations():
        print(row, flush=True)
    print(f"\nUntil the exploitability is at most {TARGET:g}, without a regularizer; here by the path of equilibria:\n")
    for row in to_target():
        print(row, flush=True)


if __name__ == "__main__":
    main()
