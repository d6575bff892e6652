"""Learners may pass by policies whose population never settles: that ends no experiment; tables and verdicts tell."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pma_mfg import cli, equilibrium, games, iterations, operators
from pma_mfg.errors import ConvergenceError, InputError
from pma_mfg.games.features import Features
from pma_mfg.games.model import MeanFieldGame
from pma_mfg.learning import schedules
from pma_mfg.regularizers import Entropy
from pma_replication import cli as replicate
from pma_replication import judging, plan, unsettled, verdicts
from pma_replication.experiments.basins import measure as basins
from pma_replication.experiments.bounds import judge as bounds_judge
from pma_replication.experiments.bounds import measure as bounds_measure
from pma_replication.experiments.comparison import measure as comparison
from pma_replication.experiments.contraction import measure as contraction
from pma_replication.experiments.coupling import judge as coupling_judge
from pma_replication.experiments.coupling import measure as coupling
from pma_replication.experiments.dynamics import measure as dynamics
from pma_replication.experiments.independent import measure as independent
from pma_replication.experiments.networked import measure as networked
from pma_replication.experiments.networked.arms import Arm
from pma_replication.experiments.one_trajectory import measure as one_trajectory
from pma_replication.experiments.orbit import judge as orbit_judge
from pma_replication.experiments.orbit import measure as orbit
from pma_replication.experiments.regularization import annealing
from pma_replication.experiments.regularization import judge as annealing_judge
from pma_replication.experiments.samples import measure as samples
from pma_replication.plan import Subject
from pma_replication.runs import tables as parquet

ENTROPY = Entropy(0.1)


def returning(kept: float = 0.24) -> MeanFieldGame:
    """Return a game of two states in which the population of those who nearly all move never settles.

    Action 0 leads to either state; action 1 to state 1 if state 0 has the share `kept` of the agents, and to state 0 if
    it has less. Up to a share 1 - 2 kept of action 1 state 0 keeps that share; above, it swings. Action 1 pays by the
    share of state 0, so strongly that best response at the equilibrium, a share of 0.4, goes to and fro, to 0.8 and
    more.
    """
    offsets = [100.0 * kept, 100.0 * kept - 1.0]
    ramp = np.array([1.0, -1.0])[:, None, None, None]
    return MeanFieldGame(
        discount=0.5,
        base_transition=np.tile([[0.5, 0.5], [0.0, 1.0]], (2, 1, 1)),
        base_reward=np.tile([0.0, -0.6 + 0.1 * math.log(0.4 / 0.6)], (2, 1)),
        transition_terms=ramp * np.tile([[0.0, 0.0], [1.0, -1.0]], (2, 1, 1)),
        transition_features=Features.build([[-100.0, 0.0], [-100.0, 0.0]], offsets, "positive"),
        reward_terms=np.tile([0.0, 2.0], (1, 2, 1)),
        reward_features=Features.build([[1.0, 0.0]]),
    )


GAME = returning()
NASH = np.tile([0.6, 0.4], (2, 1))
SWINGS = np.tile([0.2, 0.8], (2, 1))
SCALE = schedules.td_scale(GAME, NASH)
#: Best responses to what a few updates have learned.
BRIEF = schedules.Schedule(8, 200, 0, np.inf, SCALE, SCALE)
#: Nearly so, where steps must be finite.
LARGE = schedules.Schedule(3, 1000, 0, 1e3, SCALE, SCALE)


def learned() -> pd.DataFrame:
    return samples.learning_errors(
        GAME, ENTROPY, NASH, name="g", n_agents=1000, epsilon=0.5, schedule=BRIEF, n_replicates=2, seed=0
    )


@functools.cache
def coupled() -> pd.DataFrame:
    sizes: dict[str, Any] = {
        "n_epochs": 10,
        "n_waiting": 0,
        "step_size": 0.025,
        "split": 2,
        "accuracy": 0.1,
        "n_agents": 1000,
    }
    return coupling.compare(GAME, ENTROPY, NASH, name="g", line="own", updates=[100], n_replicates=1, seed=0, **sizes)


def alone() -> pd.DataFrame:
    runs = independent.IndependentRuns(3000, LARGE, 1)
    return independent.independent_errors(GAME, ENTROPY, NASH, name="g", sweep="equal", settings=[runs], seed=0)


def annealed() -> pd.DataFrame:
    runs = annealing.Runs([0.05], [100.0], n_epochs=6, relative_updates=20.0, n_agents=1000, n_pilots=1, n_replicates=3)
    return annealing.measure(GAME, ENTROPY, "g", runs=runs, seed=0)


def compared() -> pd.DataFrame:
    grids = {"fitted_q": {"first": [100.0], "growth": [1.0], "share": [1.0]}}
    sizes: dict[str, Any] = {
        "n_agents": 100,
        "budget": 1000,
        "pilot_budget": 100,
        "per_decade": 4,
        "target": 0.01,
        "n_pilots": 1,
    }
    return comparison.compare(GAME, ENTROPY, "g", policy=NASH, grids=grids, n_replicates=2, seed=0, **sizes)[0]


def on_one_trajectory() -> pd.DataFrame:
    grids = {"pma": {"step_size": [1e3], "first": [200.0], "growth": [1.0], "constant": [1.0]}}
    sizes: dict[str, Any] = {"n_agents": 100, "budget": 1000, "per_decade": 8, "target": 0.01, "n_replicates": 2}
    return one_trajectory.compare(GAME, ENTROPY, "g", grids=grids, files={}, seed=0, **sizes)


def in_networks() -> pd.DataFrame:
    runs = networked.Runs("competition", "ring", 0.1, 1e3, 10_000, 4, SCALE, SCALE, 10, 100, 1, 4)
    arms = {"centralized": Arm(learner="centralized"), "independent": Arm()}
    return networked.measure(GAME, ENTROPY, "g", arms=arms, runs=runs, seed=0)


def exactly() -> pd.DataFrame:
    return dynamics.compare(GAME, ENTROPY, NASH, name="g", n_starts=1, max_iterations=20, seed=0)["histories"]


def test_the_planted_equilibrium_is_one_and_others_play_what_has_no_population() -> None:
    assert operators.policy_distance(operators.best_response_step(GAME, NASH, ENTROPY), NASH) < 1e-12
    with pytest.raises(ConvergenceError, match="cycle with period 2"):
        operators.stable_population(GAME, SWINGS)
    low = operators.best_response_step(GAME, np.tile([0.8, 0.2], (2, 1)), ENTROPY)
    assert low[0, 1] > 0.8


def test_an_equilibrium_whose_own_policy_leads_away_from_it_is_refused_before_any_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    game = returning(0.33)
    with pytest.raises(InputError, match=r"population: got agents who .* does not settle, expected"):
        Subject(game, ENTROPY, "entropy", "g", NASH)
    games.save(game, tmp_path / "game.npz")
    assert cli.main(["solve", str(tmp_path / "game.npz"), "--strength", "0.1"]) == 0
    assert "agents who play this policy do not settle from the uniform distribution" in capsys.readouterr().err
    learn = ["learn", str(tmp_path / "game.npz"), "--strength", "0.1", "--epsilon", "0.5", "--agents", "100"]
    assert cli.main([*learn, "--schedule", "tuned"]) == 2
    assert "whose population does not settle" in capsys.readouterr().err
    cli.main([*learn, "--epsilon", "1e-9", "--budget", "1000"])
    assert "nan" not in capsys.readouterr().err


EXPERIMENTS: dict[str, Callable[[], pd.DataFrame]] = {
    "samples": learned,
    "coupling": coupled,
    "independent": alone,
    "comparison": compared,
    "one_trajectory": on_one_trajectory,
    "networked": in_networks,
    "dynamics": exactly,
}


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_a_population_that_does_not_settle_ends_no_experiment_counts_as_worst_and_is_told(experiment: str) -> None:
    table = EXPERIMENTS[experiment]()
    swings = table[judging.UNSETTLED] == 1
    assert 0 < swings.sum() < len(table)
    unit = float(table["reward_range"].iloc[0]) if "reward_range" in table else 1.0
    assert set(table.loc[swings, "exploitability"]) == {unsettled.worst(GAME, ENTROPY) / unit}
    assert table.loc[~swings, "exploitability"].max() < unsettled.worst(GAME, ENTROPY) / unit
    told = judging.told_unsettled(table)
    assert told.startswith(f"in {swings.sum():,} of {len(table):,} measurements of a policy its population did not")
    settled = table[~swings].drop(columns=judging.UNSETTLED)
    pd.testing.assert_frame_equal(unsettled.marked(settled, unsettled.worst(GAME, ENTROPY) / unit), settled)
    assert judging.told_unsettled(settled) == ""


def test_tables_with_and_without_such_policies_are_joined_and_each_game_is_told_its_own(tmp_path: Path) -> None:
    table = pd.DataFrame({"game": "a", "exploitability": [0.1, 9.0]})
    other = table.iloc[:1].assign(game="b")
    for name, one in (("a", unsettled.marked(table, 9.0)), ("b", other)):
        parquet.write_table(tmp_path / f"{name}.parquet", one)
    of = [str(tmp_path / f"{name}.parquet") for name in ("b", "a")]
    assert replicate.main(["collect", *of, "--out", str(tmp_path / "both.parquet")]) == 0
    both = parquet.read_table(tmp_path / "both.parquet")
    assert both[judging.UNSETTLED].tolist() == [0, 0, 1]
    told = {game: judging.told_unsettled(rows) for game, rows in both.groupby("game")}
    assert told["b"] == ""
    assert "in 1 of 2 measurements" in told["a"]


def test_annealing_counts_in_each_run_the_policies_without_a_population_and_its_verdict_says_so() -> None:
    table = annealed()
    count = table.drop_duplicates(["way", "replicate"])[judging.UNSETTLED].sum()
    assert 0 < count < 2 * 3 * 7
    assert f"in {count} of 42 measurements" in annealing_judge.annealing(table, 0.2, 0.95)["how"]


def test_a_run_that_meets_no_population_ends_there_and_has_not_arrived() -> None:
    start = np.tile([0.8, 0.2], (2, 1))
    best = iterations.iteration("best_response", GAME, ENTROPY, start=start, step_size=np.inf)
    seen = dynamics.run(best, GAME, ENTROPY, reference=NASH, max_iterations=50, measured=lambda k: False)
    assert seen.outcome.ending == "unsettled"
    assert seen.iterations == 1
    assert seen.history["exploitability"].tolist() == [unsettled.worst(GAME, ENTROPY)]
    played = iterations.fictitious_play(GAME, ENTROPY, SWINGS)
    seen = dynamics.run(played, GAME, ENTROPY, reference=NASH, max_iterations=50)
    assert (seen.outcome.ending, seen.outcome.amplitude, seen.iterations) == ("unsettled", 0.0, 0)
    damping, attractors = orbit.damping(
        GAME, ENTROPY, "g", strengths=[0.1], shares=[0.3], n_starts=1, max_iterations=40, seed=0
    )
    failed = damping[damping["method"] == "best_response"]
    assert (failed["ending"] == "unsettled").any()
    assert not failed["arrived"].any()
    told = orbit_judge.damped(damping.assign(method="pma_kl", share=0.3), 0.0, 0.95)
    assert "met a policy under which the population does not settle" in told["how"]
    assert not told["too_small"]
    assert "equilibrium" in set(attractors["part"])


def test_exact_iterations_from_starts_without_a_population_do_not_stop_a_job() -> None:
    sizes: dict[str, Any] = {"name": "g", "n_starts": 2, "max_iterations": 40, "seed": 0}
    _, rates = contraction.pma_convergence(GAME, ENTROPY, NASH, step_sizes=[1e3], **sizes)
    assert 0 <= rates["converged"].sum() < 2
    found = basins.basins(GAME, ENTROPY, NASH, step_sizes=[1e3], **sizes)
    assert (found["basins"]["equilibrium"] == -1).any()


def test_the_verdict_of_a_method_that_swings_is_that_it_has_not_arrived() -> None:
    rows = coupled()
    judged = coupling_judge.best_response(rows, 0.0, 0.95)
    assert judged["estimate"].value > 1.0
    count = int(rows[judging.UNSETTLED].sum())
    for record in verdicts.evaluate({"coupling": rows}, **plan.TOLERANCES):
        assert f"in {count} of {len(rows)} measurements of a policy its population did not settle" in record["how"]


def test_a_worst_exploitability_is_above_all_of_those_of_policies() -> None:
    game, rng = games.make("rock_paper_scissors"), np.random.default_rng(0)
    policies = rng.dirichlet(np.full(game.n_actions, 0.1), size=(20, game.n_states))
    for h in (None, ENTROPY):
        gains = unsettled.exploitabilities(game, policies, h)
        assert gains == [equilibrium.exploitability(game, policy, h) for policy in policies]
        assert max(gains) < unsettled.worst(game, h)


def test_a_search_for_bounds_leaves_out_policies_whose_population_does_not_settle(monkeypatch):
    game = games.make("crowd_averse", n_states=2, n_actions=2, discount=0.5, seed=1)
    settling = operators.stable_population

    def stuck(game, policy, *of, **also):  # as in games where some policies are left ever more slowly
        if policy[0, 0] > 0.8:
            raise ConvergenceError("stable_population: no fixed point", [1e-8])
        return settling(game, policy, *of, **also)

    monkeypatch.setattr(operators, "stable_population", stuck)
    monkeypatch.setattr(bounds_measure, "SWEEPS", 2)
    table = bounds_measure.operator_ratios(
        game, Entropy(0.1), "stuck", step_sizes=[1.0], n_pairs=20, n_ascents=1, seed=0
    )
    counts = table.groupby("operator")[judging.UNSETTLED].sum()
    assert counts["stable_population"] > 0
    assert counts["policy_mirror_ascent"] > 0
    assert counts.drop(["stable_population", "policy_mirror_ascent"]).sum() == 0
    assert (table["largest_ratio"] > 0.0).all()
    told = {claim["id"]: claim["how"] for claim in bounds_judge.operator_bounds(table.assign(bound=1e3), 0.0, 0.95)}
    assert "times a policy was left out, whose population does not settle" in told["C1a-stable"]
    assert "left out" not in told["C1a-update-mean-field"]
    monkeypatch.undo()
    whole = bounds_measure.operator_ratios(
        game, Entropy(0.1), "stuck", step_sizes=[1.0], n_pairs=20, n_ascents=1, seed=0
    )
    assert judging.UNSETTLED not in whole
