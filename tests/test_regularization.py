"""What regularization costs, paths of many games and learning along them: exact identities, planted violations."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.special

from pma_mfg import equilibrium, games, operators, paths
from pma_mfg.errors import InputError
from pma_mfg.learning import algorithms as learning
from pma_mfg.learning.schedules import Schedule
from pma_mfg.regularizers import Entropy, Quadratic
from pma_replication import judging, statistics, verdicts
from pma_replication.experiments.paths import judge as paths_judge
from pma_replication.experiments.paths import measure as paths_measure
from pma_replication.experiments.regularization import annealing, judge, measure

SIS = games.make("sis_epidemic")


def verdict(record: Mapping[str, Any], tolerance: float) -> str:
    interval = (record["estimate"].low, record["estimate"].high)
    return judging.verdict(interval, record["expected"], record["rival"].not_rejecting(record["expected"], tolerance))


# --- what regularization costs


@pytest.mark.parametrize(
    ("name", "strength"), [("sis_epidemic", 0.5), ("rock_paper_scissors", 0.05), ("beach_bar", 2.0)]
)
def test_under_the_entropy_the_cost_is_the_strength_times_what_log_probabilities_are_worth(
    name: str, strength: float
) -> None:
    game = games.make(name)
    found = equilibrium.solve(game, Entropy(strength))
    exact = equilibrium.exploitability(game, found.policy, mean_field=found.mean_field)
    price = paths.price(game, found.policy, Entropy(7.0), mean_field=found.mean_field)
    assert strength * price == pytest.approx(exact, rel=1e-9, abs=1e-12)  # an identity, to the solver's accuracy
    elsewhere = 0.9 * found.policy + 0.1 * operators.uniform_policy(game)
    wrong = strength * paths.price(game, elsewhere, Entropy(1.0), mean_field=found.mean_field)
    if name == "sis_epidemic":  # at no other policy it is one
        assert abs(wrong / equilibrium.exploitability(game, elsewhere, mean_field=found.mean_field) - 1.0) > 1e-2


@pytest.mark.parametrize("regularizer", [Entropy(1.0), Quadratic(1.0)])
def test_the_end_of_the_path_costs_what_the_limit_says(regularizer: Entropy | Quadratic) -> None:
    tables = measure.cost(SIS, regularizer, "sis")
    row = tables["regularization_games"].iloc[0]
    assert row["complete"]
    assert row["mixed"] == 1
    assert 0.01 < row["limit_share"] < 0.99
    # equilibria are smooth in the strength, which is a millionth of the range
    assert row["share"] == pytest.approx(row["limit_share"], abs=1e-4)
    assert row["exponent"] == pytest.approx(1.0, abs=1e-3)
    # the limit draws, so that N times the Nash gap grows like 1 / tau (docs/theory, section 19.4)
    grown = (tables["regularization"]["gap_constant"] * tables["regularization"]["strength"]).to_numpy()
    assert grown[-1] > 0.0
    assert grown[-1] == pytest.approx(grown[-3], rel=1e-3)


def limit_rows(**changed: float) -> pd.DataFrame:
    row = {"game": "g", "complete": True, "share": 0.3, "limit_share": 0.3, "mixed": 1, "n_states": 2}
    return pd.DataFrame([{**row, "exponent": 1.0, "exponent_low": 1.0, "exponent_high": 1.0, **changed}])


def test_a_cost_off_the_limits_refutes_one_of_all_the_bound_shows_nothing_and_a_path_that_is_lost_decides_nothing() -> (
    None
):
    def judged(**changed: float) -> str:
        record = judge.price_of_limit(limit_rows(**changed), 1e-3, 0.95)
        return verdict(record, 1e-3)

    assert judged() == "confirmed"
    assert judged(share=0.31) == "not confirmed"
    assert judged(share=1.0) == "not confirmed"  # the rival
    assert judged(share=1.0, limit_share=1.0) == "vacuous"
    assert judged(limit_share=np.nan) == "inconclusive"
    assert judged(complete=False, ended="a fold") == "inconclusive"


# --- branches, and many games


def test_the_equilibrium_of_a_branch_of_its_own_is_found_by_starts_alone() -> None:
    tables = paths_measure.diagram(SIS, Entropy(1.0), "sis", lowest=0.02, strengths=[0.1], n_starts=6, seed=0)
    (row,) = tables["paths_equilibria"].to_dict("records")
    assert [row[key] for key in ("by_path", "by_starts", "by_both", "in_all")] == [1, 2, 1, 2]
    points = tables["paths"]
    assert set(points["found"]) == {"path", "starts"}
    assert points["strength"].min() == pytest.approx(0.02, rel=1e-9)
    assert "| sis | 0.1 | 1 | 2 | 1 | 2 |" in paths_judge.paths_markdown(tables["paths_equilibria"])


def test_where_there_is_one_equilibrium_the_state_that_is_told_is_the_one_that_moves_most() -> None:
    game = games.make("no_interaction")
    tables = paths_measure.diagram(game, Entropy(1.0), "g", lowest=0.01, strengths=[0.1], n_starts=2, seed=0)
    assert set(tables["paths"]["branch"]) == {0}
    path = paths.equilibrium_path(game, Entropy(1.0))
    spread = np.ptp([point.mean_field for point in path.points], axis=0)
    assert set(tables["paths"]["state"]) == {spread.argmax()}
    assert spread.argmax() != 0


def test_every_game_of_a_grid_has_a_row_with_what_happens_on_its_path() -> None:
    fixed = {"n_states": 2, "n_actions": 2, "discount": 0.5, "strength": 0.1, "sign": "seeking"}
    table = paths_measure.generated(
        "g",
        "planted_coupled",
        "best_response_radius",
        values=[0.5, 3.0],
        parameters=fixed,
        regularizer=Entropy(1.0),
        n_seeds=1,
    )
    assert table["coupling"].tolist() == [0.5, 3.0]
    assert table["complete"].all()
    game = games.make("planted_coupled", best_response_radius=3.0, seed=0, **fixed)
    assert table["n_folds"].iloc[1] == len(paths.equilibrium_path(game, Entropy(1.0)).folds)


def grid(weak: int, strong: int, of: int = 40) -> pd.DataFrame:
    """Return games of which so many have a fold, with weak and strong couplings."""
    parts = []
    for coupling, folded in ((0.5, weak), (2.0, strong)):
        folds = np.where(np.arange(of) < folded, 2, 0)
        parts.append(pd.DataFrame({"coupling": coupling, "seed": np.arange(of), "n_folds": folds}))
    return pd.concat(parts, ignore_index=True).assign(game="g", complete=True, n_branch_points=0, unstable=0)


def test_rare_folds_are_what_is_claimed_and_frequent_ones_refute() -> None:
    for table, expected in (
        (grid(0, 0), ("confirmed", "confirmed")),
        (grid(2, 1), ("confirmed", "confirmed")),
        (grid(20, 20), ("not confirmed", "inconclusive")),
        (grid(0, 30), ("not confirmed", "not confirmed")),
        (grid(0, 0).assign(complete=False), ("not confirmed", "confirmed")),  # lost at every coupling alike
    ):
        several = paths_judge.by_coupling(table, 0.2, 0.95)
        assert isinstance(several, dict)
        assert (verdict(paths_judge.without_fold(table, 0.2, 0.95), 0.2), verdict(several, 0.2)) == expected
    assert paths_judge.by_coupling(grid(1, 1).query("coupling > 1"), 0.2, 0.95) == []


def test_the_interval_of_a_share_is_that_of_clopper_and_pearson() -> None:
    # its ends: as few, or as many, have the probability 0.025 there
    for count in (1, 3, 24):
        found = paths_judge.share(count / 25, 25, 0.95)
        assert scipy.special.bdtrc(count - 1, 25, found.low) == pytest.approx(0.025, rel=1e-9)
        assert scipy.special.bdtr(count, 25, found.high) == pytest.approx(0.025, rel=1e-9)
    assert paths_judge.share(0.0, 25, 0.95).low == 0.0
    assert paths_judge.share(1.0, 25, 0.95).high == 1.0


# --- learning with less and less of a regularizer


def schedule(n_epochs: int) -> Schedule:
    return Schedule(n_epochs, 200, 0, 2.0, 20.0, 20.0)


def test_each_epoch_of_learning_has_its_own_strength() -> None:
    game = games.make("rock_paper_scissors")

    def learned(strength: float, n_epochs: int, **more: Any) -> np.ndarray:
        rng = np.random.default_rng(1)
        return learning.centralized(game, 100, Entropy(strength), schedule=schedule(n_epochs), rng=rng, **more)

    fixed = learned(0.5, 3)
    np.testing.assert_array_equal(learned(9.0, 3, strengths=[0.5] * 3), fixed)  # bit for bit
    np.testing.assert_array_equal(learned(0.5, 3, starts=[schedule(3).start] * 3), fixed)
    assert (learned(0.5, 3, starts=[9.0, 0.0, 0.0]) != fixed).any()
    falling = learned(9.0, 3, strengths=[0.5, 0.25, 0.125])
    np.testing.assert_array_equal(falling[:2], fixed[:2])
    assert np.abs(falling[2] - fixed[2]).max() > 1e-3
    for wrong in ([0.5], [0.5, 0.5, 0.0], [0.5, np.nan, 0.5]):
        with pytest.raises(InputError, match=r"strengths: got .*, expected 3 finite numbers > 0"):
            learned(0.5, 3, strengths=wrong)


def test_a_run_goes_on_with_the_strength_of_its_epoch() -> None:
    game, strengths, kept = games.make("rock_paper_scissors"), [1.0, 0.3, 0.1], []

    def learned(**more: Any) -> np.ndarray:
        of = {"schedule": schedule(3), "rng": np.random.default_rng(1), "strengths": strengths}
        return learning.centralized(game, 100, Entropy(1.0), **of, **more)

    whole = learned(save=lambda state: kept.append({name: np.copy(array) for name, array in state().items()}))
    first = next(state for state in kept if len(state["policies"]) == 2)
    np.testing.assert_array_equal(learned(resume=first), whole)


RUNS = annealing.Runs(
    accuracies=[0.5, 0.2],
    ascent_steps=[1.0],
    n_epochs=3,
    relative_updates=1.0,
    n_agents=1000,
    n_pilots=1,
    n_replicates=2,
)


def test_both_ways_of_learning_end_at_the_strength_that_the_path_calls_weak_enough() -> None:
    game = games.make("planted_smooth", n_states=2, n_actions=2, discount=0.5, seed=0, strength=0.1)
    unit = measure.reward_range(game)
    strength = annealing.final_strength(game, Entropy(1.0), cost=0.05 * unit)
    found = equilibrium.solve(game, Entropy(strength))
    assert equilibrium.exploitability(game, found.policy) <= 0.05 * unit * (1.0 + 1e-9)
    table = annealing.measure(game, Entropy(1.0), "g", runs=RUNS, seed=0)
    assert len(table) == 2 * 2 * 2  # ways, replicates, accuracies
    assert set(table["budget"]) == {3 * table["n_updates"].iloc[0]}
    assert table["samples"].min() >= table["n_updates"].iloc[0]
    with pytest.raises(InputError, match=r"accuracies: got .*, expected more than .* costs anywhere"):
        annealing.final_strength(SIS, Entropy(1.0), cost=1e-12)


def learned_rows(annealed: float, scratch: float, *, missed: int = 0, noise: float = 0.05) -> pd.DataFrame:
    rng, parts = np.random.default_rng(0), []
    for way, middle in (("annealed", annealed), ("scratch", scratch)):
        for accuracy in (0.1, 0.01):
            samples = middle / accuracy * rng.lognormal(0.0, noise, 12)
            if way == "scratch" and accuracy == 0.01:
                samples[:missed] = np.inf
            of = {"way": way, "accuracy": accuracy, "replicate": np.arange(12), "samples": samples, "step_size": 1.0}
            parts.append(pd.DataFrame(of))
    return pd.concat(parts, ignore_index=True).assign(game="g", budget=1e6, n_updates=1, strength=0.01, last=0.001)


def test_as_many_samples_are_what_is_claimed_half_of_them_refute_and_what_is_not_reached_is_not_compared(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(statistics, "RESAMPLES", 100)
    assert verdict(judge.annealing(learned_rows(1.0, 1.0), 0.2, 0.95), 0.2) == "confirmed"
    assert verdict(judge.annealing(learned_rows(3.0, 1.0), 0.2, 0.95), 0.2) == "confirmed"
    assert verdict(judge.annealing(learned_rows(0.5, 1.0), 0.2, 0.95), 0.2) == "not confirmed"
    assert verdict(judge.annealing(learned_rows(1.0, 1.0, noise=3.0), 0.2, 0.95), 0.2) == "inconclusive"
    missed = judge.annealing(learned_rows(1.0, 1.0, missed=3), 0.2, 0.95)  # then the ratio is known from above alone
    assert verdict(missed, 0.2) == "inconclusive"
    assert "not reached by 0 and 3 runs" in missed["how"]
    assert verdict(judge.annealing(learned_rows(0.1, 1.0, missed=3), 0.2, 0.95), 0.2) == "not confirmed"


def judged(rows: pd.DataFrame) -> Any:
    names = ("slope", "samples_slope", "constant", "independent")
    [record] = verdicts.evaluate({"annealing": rows}, 0.95, 0.02, **{f"{name}_tolerance": 0.1 for name in names})
    return record


def test_what_no_way_reaches_in_all_runs_says_what_it_would_take(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statistics, "RESAMPLES", 100)
    rows = learned_rows(1.0, 1.0)
    rows.loc[rows["replicate"] == 3, "samples"] = np.inf  # one run of each way
    rows.loc[rows["replicate"] == 3, "last"] = np.where(rows.loc[rows["replicate"] == 3, "way"] == "scratch", 0.25, 0.5)
    record = judged(rows)
    assert (record["verdict"], record["too_small"]) == ("inconclusive", True)
    assert record["how"].startswith(
        "too small a range: neither way reaches 0.1 of the range of the rewards in all 12 runs of 1,000,000 "
        "samples, and all of one end at 0.25 or less: it takes longer runs (n_epochs, relative_updates)"
    )
    rows.loc[(rows["way"] == "scratch") & (rows["accuracy"] == 0.1), "samples"] = 10.0  # all runs of one way
    record = judged(rows)
    assert (record["verdict"], record["too_small"]) == ("inconclusive", False)


def test_what_is_reached_in_the_first_epochs_cannot_be_halved(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statistics, "RESAMPLES", 100)
    rows = learned_rows(1.0, 1.0)
    rows["samples"] = 100.0  # one epoch, as of a game whose first policy is good enough
    record = judged(rows.assign(n_updates=100))
    assert (record["verdict"], record["too_small"]) == ("inconclusive", True)
    assert "from scratch 0.01 of the range of the rewards takes 1 times the samples of an epoch" in record["how"]
    # where from scratch takes more epochs than one over what is claimed, a ratio that refutes can be seen, and is
    for epochs, seen in ((1.2, False), (1.3, True)):
        rows.loc[rows["way"] == "scratch", "samples"] = 100.0 * epochs
        record = judged(rows.assign(n_updates=100))
        assert record["too_small"] is not seen
        assert record["verdict"] == ("not confirmed" if seen else "inconclusive")
