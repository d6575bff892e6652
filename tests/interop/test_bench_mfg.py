"""Our tables against the transition and reward functions of Bench-MFG, entry by entry; and its policies."""

import importlib
import json
import re
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from pma_mfg import cli, equilibrium, games
from pma_mfg.errors import InputError
from pma_mfg.games import benchmarks
from pma_mfg.interop import bench_mfg

pytestmark = pytest.mark.interop
pytest.importorskip("benchmfg", reason="Bench-MFG is not installed (make test-interop)")

CHAIN = {"N_states": 7, "N_actions": 3, "N_noises": 3, "noise_prob": np.array([0.025, 0.95, 0.025])}
#: Sums of five probabilities, products of numbers up to 100: rounding.
ROUNDING = 1e-12
#: Bench-MFG draws success by comparing a probability with (k + 1/2) / 100, k = 0..99 equally likely.
QUANTISED = 0.005 + ROUNDING

# family -> (module and class there, its arguments, tolerance of the transitions)
GAMES = {
    "contraction_game": (
        ("contraction_game.contraction_game", "ContractionGame"),
        {
            **{"N_states": 2, "N_actions": 2, "N_noises": 1, "noise_prob": np.ones(1)},
            **{"switching_cost": 2.0, "congestion_coefficient": 2.0},
        },
        ROUNDING,
    ),
    "rock_paper_scissors": (
        ("rock_paper_scissors.rock_paper_scissors", "RockPaperScissors"),
        {"N_states": 3, "N_actions": 3, "N_noises": 1, "noise_prob": np.ones(1)},
        ROUNDING,
    ),
    "lasry_lions_chain": (
        ("lasry_lions_chain.lasry_lions_chain", "LasryLionsChain"),
        {**CHAIN, "crowd_penalty_coefficient": 40.0, "movement_penalty": 2.0, "center_attraction": 3.0},
        ROUNDING,
    ),
    "multiple_equilibria": (
        ("multiple_equilibria.multiple_equilibria", "MultipleEquilibria1DGame"),
        {**CHAIN, "alpha": 5.0, "beta": 20.0, "movement_penalty": 4.0, "targets": [2, 4]},
        ROUNDING,
    ),
    "no_interaction": (
        ("no_interaction.no_interaction", "NoInteractionChain"),
        {**CHAIN, "movement_penalty": 0.1},
        ROUNDING,
    ),
    "sis_epidemic": (
        ("sis_epidemic.sis_epidemic", "SISEpidemic"),
        {"N_actions": 5, "beta": 0.8, "nu": 0.1, "cost_infection": 10.0},
        QUANTISED,
    ),
    "kinetic_congestion": (
        ("kinetic_congestion.kinetic_congestion", "KineticCongestion"),
        {
            **{"grid_height": 5, "grid_width": 5, "target_state": 24},
            **{"movement_cost": 0.1, "capacity_threshold": 0.18},
        },
        QUANTISED,
    ),
    "four_rooms": (("four_rooms_obstacles.four_rooms_obstacles", "FourRoomsAversion2D"), {}, ROUNDING),
}


def mean_fields(size):
    rng = np.random.default_rng(0)
    return [np.full(size, 1.0 / size), *np.eye(size)[[0, size - 1]], *rng.dirichlet(np.full(size, 0.5), size=2)]


@pytest.mark.parametrize("family", GAMES)
def test_tables_are_those_of_bench_mfg(family):
    (module, name), arguments, tolerance = GAMES[family]
    game = games.make(family)
    start = np.full(game.n_states, 1.0 / game.n_states)
    cls = getattr(importlib.import_module(f"benchmfg.envs.{module}"), name)
    other = cls(horizon=1, mean_field=start, gamma=game.discount, **arguments)
    states = np.arange(game.n_states)
    if family == "four_rooms":  # nobody enters a wall: there the two differ (see `games.benchmarks.four_rooms`)
        states = np.flatnonzero(~benchmarks.four_rooms_walls(11, 11).ravel())
    for mean_field in mean_fields(game.n_states):
        transition, reward = game.transition(mean_field), game.reward(mean_field)
        for s in states:
            for a in range(game.n_actions):
                row = np.zeros(game.n_states)
                for noise, probability in enumerate(other.noise_prob):
                    row[int(other.transition(mean_field, int(s), a, noise))] += probability
                np.testing.assert_allclose(transition[s, a], row, rtol=0, atol=tolerance)
                assert reward[s, a] == pytest.approx(float(other.reward(mean_field, int(s), a)), abs=ROUNDING)


def chain(size=5):
    """Return a game of Bench-MFG with a small chain."""
    from benchmfg.envs.no_interaction.no_interaction import NoInteractionChain

    start = np.full(size, 1.0 / size)
    noise = {**CHAIN, "N_states": size}
    return NoInteractionChain(horizon=30, mean_field=start, gamma=0.9, movement_penalty=0.1, **noise)


def test_policies_that_bench_mfg_finds_and_writes_are_audited(tmp_path, monkeypatch, capsys):
    from benchmfg.api import load_config
    from benchmfg.learner.python.omd_py import OMD_python
    from benchmfg.utility import save_results

    # a pool of processes for every step of five states takes minutes
    monkeypatch.setattr("benchmfg.envs.mfg_model_class.ProcessPoolExecutor", ThreadPoolExecutor)
    environment, game = chain(), games.make("no_interaction", n_states=5)
    solver = OMD_python(environment, np.full((5, 3), 1.0 / 3.0), learning_rate=0.1, num_iterations=5)
    results = solver.eval()
    found = bench_mfg.stationary_policy(results[0], game, environment=environment)
    np.testing.assert_array_equal(found, results[0])
    monkeypatch.setenv("BENCHMFG_OUTPUT_ROOT", str(tmp_path))
    for kind in (float, np.float32):
        written = (results[0].astype(kind), *results[1:])
        folder = save_results.save_results(written, load_config())
        (path,) = tmp_path.rglob(f"{folder}/final_policy.npz")
        games.save(game, tmp_path / "game.npz")
        assert cli.main(["audit", str(tmp_path / "game.npz"), str(path), "--agents", "2", "--json"]) == 0
        told = json.loads(capsys.readouterr().out)
        exact = equilibrium.exploitability(game, found)
        # single precision moves probabilities by 6e-8, and the gain by that times values of some ten
        assert told["exploitability_unregularized"] == pytest.approx(
            exact, rel=0.0, abs=1e-15 if kind is float else 1e-5
        )


def test_a_policy_of_bench_mfg_is_taken_flat_and_from_jax_and_a_mismatch_is_one_line():
    jax = pytest.importorskip("jax")
    game = games.make("no_interaction", n_states=5)
    policy = np.random.default_rng(0).dirichlet(np.ones(3), size=5)
    np.testing.assert_array_equal(bench_mfg.stationary_policy(policy.ravel(), game), policy)
    np.testing.assert_allclose(bench_mfg.stationary_policy(jax.numpy.asarray(policy), game), policy, rtol=1e-6)
    wrong = policy.copy()
    wrong[2] *= 0.75
    for given, environment, message in [
        (policy, chain(7), "environment: got 7 states and 3 actions, expected 5 and 3, as the game has"),
        (policy[:, :2], None, "policy: got shape (5, 2), expected shape (5, 3)"),
        (wrong, None, "policy: row 2: got the sum 0.75, off by -0.25"),
    ]:
        with pytest.raises(InputError, match=re.escape(message)) as raised:
            bench_mfg.stationary_policy(given, game, environment=environment)
        assert "\n" not in str(raised.value)
