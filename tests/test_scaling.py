"""How samples grow with a game: games of which one quantity moves, exact noise, what is read off runs, and verdicts."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from tests.statistical import Level

from pma_mfg import games, operators, seeds
from pma_mfg.errors import InputError
from pma_mfg.learning import algorithms as learning
from pma_mfg.learning import schedules
from pma_mfg.populations import spread, td_moments
from pma_mfg.regularizers import Entropy
from pma_replication import cli, statistics
from pma_replication.experiments.scaling import judge, measure
from pma_replication.judging import verdict
from pma_replication.runs import tables as parquet

TAU = 0.1
PARAMETERS = {"n_states": 3, "n_actions": 2, "discount": 0.5, "strength": TAU, "best_response_radius": 0.5}


def rare(**changes: float) -> games.MeanFieldGame:
    return games.make("planted_rare", **(PARAMETERS | changes))


# --- exact noise


def test_the_noise_of_many_updates_is_the_limit_with_and_without_waiting() -> None:
    game = rare(n_states=2, rare_state=0.7, value=1.0)
    assert game.planted is not None
    policy, entropy = game.planted.policy, Entropy(TAU)
    scale = schedules.td_scale(game, policy)
    limit = td_moments.asymptotic_covariance(game, policy, entropy, td_scale=scale)
    n_updates = 3000
    mean, independent = spread.td_moments(
        game, policy, entropy, n_updates=n_updates, scale=scale, offset=scale, start=0.0
    )
    # what is left after M updates is of the relative order c / M, some two percent
    assert n_updates / scale > 50.0
    np.testing.assert_allclose(n_updates * independent, limit, rtol=0, atol=0.04 * np.abs(limit).max())
    found = td_moments.moments(
        game, policy, entropy, n_updates=[n_updates], n_waiting=0, td_scale=scale, td_offset=2.0 * scale
    )
    variances = (found.mean_square - found.mean**2).ravel()
    np.testing.assert_allclose(n_updates * variances, np.diag(limit), rtol=0.06)
    assert np.abs(mean).max() < 0.01 * np.sqrt(np.diag(independent).max())
    # where what comes next does not matter, targets do not vary
    none = td_moments.asymptotic_covariance(rare(n_states=2, discount=0.0), policy, entropy, td_scale=scale)
    np.testing.assert_array_equal(none, 0.0)


def test_a_start_that_fades_more_slowly_than_noise_has_no_limit() -> None:
    game = rare()
    assert game.planted is not None
    with pytest.raises(InputError, match=r"td_scale: got 1\.0, expected a number > "):
        td_moments.asymptotic_covariance(game, game.planted.policy, Entropy(TAU), td_scale=1.0)


def test_the_constant_is_that_of_steps_from_noisy_values_by_finite_differences() -> None:
    game, entropy, eta, n_epochs = rare(n_actions=3, rare_action=0.6), Entropy(TAU), 0.7 / TAU, 3
    assert game.planted is not None
    policy = game.planted.policy
    q = operators.q_values(game, policy, game.planted.mean_field, regularizer=entropy)

    def ascent(changed: np.ndarray, noise: np.ndarray) -> np.ndarray:
        mean_field = operators.stable_population(game, changed)
        values = operators.q_values(game, changed, mean_field, regularizer=entropy)
        return operators.mirror_ascent_step(values + noise, changed, eta, regularizer=entropy)

    small = 1e-6
    each = np.eye(q.size).reshape(-1, *q.shape)
    answer = np.array([(ascent(policy, small * e) - ascent(policy, -small * e)).ravel() / (2 * small) for e in each]).T
    onto = np.eye(q.size) - np.kron(np.eye(3), np.ones((3, 3)) / 3)  # changes that sum to zero in every state
    moves = (onto @ np.eye(q.size)).reshape(-1, *q.shape)
    nothing = np.zeros_like(q)
    step = np.array(
        [
            (ascent(policy + small * e, nothing) - ascent(policy - small * e, nothing)).ravel() / (2 * small)
            for e in moves
        ]
    ).T
    covariance = td_moments.asymptotic_covariance(game, policy, entropy, td_scale=schedules.td_scale(game, policy))
    roots = [np.linalg.matrix_power(step, k) @ answer @ np.linalg.cholesky(covariance) for k in range(n_epochs)]
    normal = np.random.default_rng(0).standard_normal((20_000, n_epochs, q.size))
    drawn = sum(normal[:, k] @ root.T for k, root in enumerate(roots))
    expected = np.abs(np.asarray(drawn).reshape(-1, *q.shape)).sum(axis=2).max(axis=1).mean()
    found = measure.policy_constant(game, entropy, policy, step_size=eta, n_epochs=n_epochs)
    # two sets of 20 000 draws of a number that varies by half of its mean: five standard errors
    assert found == pytest.approx(expected, rel=0.025)


# --- runs


@pytest.mark.statistical(false_alarm=1e-6, power=0.999, against="twice the variance of the noise")
def test_learning_ends_where_exact_noise_says(level: Level) -> None:
    game, entropy, eta = rare(n_states=2, discount=0.2, best_response_radius=0.01), Entropy(TAU), 10.0 / TAU
    assert game.planted is not None
    policy = game.planted.policy
    scale = schedules.td_scale(game, policy)
    updates = int(60 * scale)
    constant = measure.policy_constant(game, entropy, policy, step_size=eta, n_epochs=2)
    schedule = schedules.Schedule(6, updates, 0, eta, scale, scale)
    ends = []
    for replicate in range(100):
        rng = seeds.generator(0, "scaling test", replicate)
        last = learning.centralized(game, 10**6, entropy, schedule=schedule, rng=rng)[2:]
        ends.append(np.sqrt(updates) * np.mean([operators.policy_distance(each, policy) for each in last]))
    # of a limit, c / M = 1/60 of the variance is left over, and the second order of the noise: at most a tenth
    level.means(np.array(ends), np.array(constant), bias=np.array(0.1 * constant), planted=np.sqrt(2.0) * constant)


def test_a_table_has_what_is_known_of_each_game_and_every_run() -> None:
    runs = measure.Runs(
        epsilon=0.1, step_size=10.0, n_epochs=2, n_last=2, factors=(1.0, 2.0), n_agents=1000, n_replicates=2
    )
    fixed = {"n_actions": 2, "discount": 0.2, "strength": TAU, "best_response_radius": 0.01}
    table = measure.measure("states", "n_states", [2, 4], parameters=fixed, runs=runs, seed=1)
    assert len(table) == 2 * 2 * 2
    assert (table["game"] == "states").all()
    known = table.groupby("value").first()
    np.testing.assert_allclose(known["inverse_state"], [4.0, 8.0], rtol=1e-12)
    np.testing.assert_allclose(known["inverse_action"], 4.0, rtol=1e-12)
    np.testing.assert_allclose(known["horizon"], 1.25, rtol=1e-12)
    np.testing.assert_allclose(known["best_response_radius"], 0.01, rtol=1e-9)
    np.testing.assert_allclose(known["start"], 0.5, rtol=1e-12)
    assert (known["theorem_samples"] > 1e3 * known["exact_samples"]).all()
    again = measure.measure("states", "n_states", [4], parameters=fixed, runs=runs, seed=1)
    rest = table[table["value"] == 4.0].reset_index(drop=True)
    pd.testing.assert_frame_equal(rest, again, check_exact=True)  # a game does not depend on the others of its line
    nothing = measure.measure(
        "far", "n_states", [2], parameters=fixed | {"best_response_radius": 1.5}, runs=runs, seed=1
    )
    assert nothing["theorem_samples"].isna().all()


def test_the_command_writes_the_table_and_refuses_what_is_no_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fixed = ["discount=0.2", "strength=0.1", "best_response_radius=0.01"]
    settings = [
        "--epsilon",
        "0.2",
        "--agents",
        "100",
        "--last",
        "2",
        "--replicates",
        "2",
        "--out",
        str(tmp_path / "line.parquet"),
    ]
    assert cli.main(["scaling", "measure", "mine", "n_states=2", "n_actions=2,3", *fixed, *settings]) == 0
    table = parquet.read_table(tmp_path / "line.parquet")
    assert table["n_actions"].drop_duplicates().tolist() == [2, 3]
    for wrong, said in (
        (["n_states=2", "n_actions=2"], "exactly one with several values"),
        (["n_states=2,3", "n_actions=2,3"], "exactly one with several values"),
        (["n_states=2", "n_actions=2", "value=1,2"], "one that may move: n_states, "),
        (["n_states=2,0", "n_actions=2"], "n_states: got 0"),
    ):
        assert cli.main(["scaling", "measure", "mine", *wrong, *fixed, *settings]) == 2
        assert said in capsys.readouterr().err


# --- what is read off runs, and verdicts


@pytest.fixture
def few_resamples(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statistics, "RESAMPLES", 100)


def line(
    measured: float = 1.0, exact: float = 1.0, theorem: float = 4.0, *, noise: float = 0.05, updates: float = 1e4
) -> pd.DataFrame:
    """Return a line of games of which samples grow with these exponents; errors are power laws with noise."""
    rng, parts = np.random.default_rng(0), []
    for n_states in (2, 4, 8, 16):
        needed = updates * (n_states / 2) ** measured
        for factor in (0.7, 1.4):
            errors = 0.01 * np.sqrt(needed / round(factor * needed)) * rng.lognormal(0.0, noise, 16)
            of_run = {"value": float(n_states), "n_states": n_states, "n_updates": round(factor * needed)}
            of_run |= {"exact_samples": 3.0 * updates * (n_states / 2) ** exact, "replicate": np.arange(16)}
            of_run |= {"theorem_samples": 1e9 * n_states**theorem, "inverse_state": 2.0 * n_states, "error": errors}
            parts.append(pd.DataFrame(of_run))
    fixed = {"game": "g", "along": "n_states", "epsilon": 0.01, "n_epochs": 3, "td_scale": 100.0, "n_actions": 2}
    fixed |= {"horizon": 2.0, "inverse_action": 4.0, "L_pop": 0.3, "best_response_radius": 0.5, "radius": 0.1}
    return pd.concat(parts, ignore_index=True).assign(**fixed, theorem_inverse_action=9.0, theorem_inverse_state=9.0)


def judged(record: Mapping[str, Any], tolerance: float = 0.2) -> str:
    interval, rival = (record["estimate"].low, record["estimate"].high), record["rival"]
    return verdict(interval, record["expected"], rival.not_rejecting(record["expected"], tolerance))


def verdicts(**planted: float) -> tuple[str, str]:
    rows = line(**planted)
    (below,) = judge.below_theorem(rows, 0.2, 0.95)
    return judged(below), judged(judge.as_exact(rows, 0.2, 0.95))


@pytest.mark.usefixtures("few_resamples")
def test_samples_that_grow_as_exact_noise_says_and_below_the_theorem_are_what_is_claimed() -> None:
    assert verdicts() == ("confirmed", "confirmed")
    assert verdicts(measured=-0.5, exact=-0.5) == ("confirmed", "confirmed")


@pytest.mark.usefixtures("few_resamples")
def test_samples_that_grow_as_the_theorems_show_nothing_and_faster_ones_refute() -> None:
    assert verdicts(measured=1.0, theorem=1.0)[0] == "vacuous"
    assert verdicts(measured=2.0, theorem=1.0)[0] == "not confirmed"


@pytest.mark.usefixtures("few_resamples")
def test_an_exponent_that_is_off_by_a_half_refutes_and_noise_decides_nothing() -> None:
    for measured in (0.5, 1.5):
        assert verdicts(measured=measured)[1] == "not confirmed"
        assert not judge.as_exact(line(measured=measured), 0.2, 0.95)["too_small"]
    wide = judge.as_exact(line(measured=1.5), 0.5, 0.95)
    assert judged(wide, 0.5) in ("vacuous", "inconclusive")  # a tolerance as large as what the rival is off by
    assert judged(judge.as_exact(line(noise=2.0), 0.2, 0.95)) == "inconclusive"


@pytest.mark.usefixtures("few_resamples")
def test_epochs_that_end_in_the_start_of_td_learning_refute_nothing() -> None:
    assert "the start of TD learning" in judge.as_exact(line(measured=1.5, updates=300.0), 0.2, 0.95)["too_small"]


@pytest.mark.usefixtures("few_resamples")
def test_nothing_is_compared_with_a_theorem_that_prescribes_nothing() -> None:
    rows = line()
    rows.loc[rows["n_states"] > 2, "theorem_samples"] = np.nan
    assert judge.below_theorem(rows, 0.2, 0.95) == []
    rows = line()
    rows.loc[rows["n_states"] == 16, "theorem_samples"] = np.nan
    (record,) = judge.below_theorem(rows, 0.2, 0.95)
    assert "3 games, all certified, over a factor of 4" in record["how"]


def test_samples_are_where_a_power_law_has_the_accuracy() -> None:
    for exponent in (-0.5, -0.4):
        rows = pd.DataFrame({"value": 1.0, "n_updates": [100] * 8 + [400] * 8, "epsilon": 0.03, "n_epochs": 2})
        rows = rows.assign(along="n_states", n_states=3, error=rows["n_updates"].astype(float) ** exponent)
        assert judge.samples_of(rows) == pytest.approx([2.0 * 0.03 ** (1.0 / exponent)], rel=1e-9)


@pytest.mark.usefixtures("few_resamples")
def test_the_table_for_readers_has_a_row_for_each_line_with_what_else_moves() -> None:
    rows = pd.concat([line(), line(theorem=np.nan).assign(game="no_theorem")], ignore_index=True)
    cells = judge.scaling_cells(rows).set_index("line")
    assert cells.loc["g", "moves"] == "S 2 to 16"
    assert cells.loc["g", "also moves"] == "1/min μ* 4 to 32"
    assert (cells.loc["g", "exact"], cells.loc["g", "theorem"]) == ("1.00", "4.00")
    assert cells.loc["g", "measured"].startswith(("1.0", "0.9"))
    assert cells.loc["no theorem", "theorem"] == "not certified"
    assert cells.loc["no theorem", "of the theorem"] == "–"
    assert "| g | S 2 to 16 |" in judge.scaling_markdown(rows)
