"""The false alarms of all statistical tests add up to less than they may, and their p-values are what they claim to be.

The table in docs/testing.md is written from the marks by `pytest tests -k table_of_statistical_tests --force-regen`.
"""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import binom, chisquare, kstest, norm, t
from tests.statistical import BUDGET, Level, of_binomials, of_means, of_normals

ROOT = Path(__file__).resolve().parents[1]
DOCUMENT = ROOT / "docs/testing.md"
HEAD = "| test | cases | false alarm of each | power | against |\n|---|---|---|---|---|\n"
#: Whoever computes with these decides by chance.
STATISTICS = {
    "pvalue",
    "std",
    "var",
    "chisquare",
    "chi2_contingency",
    "kstest",
    "ttest_1samp",
    "ttest_ind",
    "binomtest",
}
#: Whoever calls one of these by name draws at random ...
DRAWS = {
    *(
        "ctd",
        "centralized",
        "blind",
        "independent",
        "networked",
        "kept_steps",
        "learner",
        "ergodic_averages",
        "initial_population",
        "initial_agents",
    ),
    *("advance", "moved_counts", "mean_interval", "slope_interval", "simulated_gap"),
    *("rollout", "draw_actions", "trajectory"),
}
#: ... and these tests do so for statements that hold for every draw, or for all but some that nobody will ever see: two
#: streams of 64-bit numbers that coincide, or 200 steps that visit fewer than six pairs of states.
FOR_EVERY_DRAW = {
    "test_a_class_derived_from_the_entropy_does_not_learn_with_the_entropys_compiled_code",
    "test_a_game_given_by_functions_is_played_bitwise_like_the_same_tables",
    "test_a_game_of_one_action_and_one_of_the_largest_number_of_states_move",
    "test_a_game_takes_its_tables_as_they_come",
    "test_a_large_sparse_game_needs_no_table_of_all_pairs_of_states",
    "test_a_negative_waiting_time_is_refused",
    "test_a_policy_is_taken_as_it_comes",
    "test_a_replicate_is_the_same_whatever_their_number",
    "test_a_rollout_is_the_environment_stepped_by_the_policies",
    "test_a_run_goes_on_with_the_strength_of_its_epoch",
    "test_a_schedule_from_the_simulator_alone_is_judged_by_its_own_runs",
    "test_a_sparse_game_and_one_of_functions_move_as_the_tables_do",
    "test_a_thread_that_fails_keeps_no_other_waiting",
    "test_a_sparse_game_is_learnt_draw_by_draw_like_its_dense_copy",
    "test_a_sparse_game_is_played_bitwise_like_its_dense_copy",
    "test_a_sparse_game_moves_bitwise_like_its_dense_copy",
    "test_a_state_that_is_never_visited_has_no_conditional_features",
    "test_agents_draw_actions_and_states_from_the_bits_of_xoshiro",
    "test_agents_draw_by_composition_from_the_bits_of_xoshiro",
    "test_agents_that_move_one_by_one_in_several_blocks_are_conserved",
    "test_agents_who_wait_go_where_their_own_action_leads",
    "test_an_action_without_probability_is_never_played",
    "test_an_epoch_is_its_updates_and_a_step_after_the_last_one",
    "test_an_epoch_with_a_buffer_is_one_of_centralized_learning_bit_for_bit",
    "test_an_interrupt_between_two_chunks_ends_a_run_that_saves_nothing",
    "test_any_integer_type_and_any_memory_shows_the_same_run",
    "test_asking_for_next_moments_moves_nothing_else",
    "test_averages_over_one_step_are_those_of_its_mean_field",
    "test_bootstrap_is_the_same_for_the_same_generator",
    "test_centralized_and_independent_learning_take_any_regularizer",
    "test_centralized_learning_is_bitwise_reproducible",
    "test_centralized_learning_never_resets_the_population",
    "test_centralized_learning_that_is_killed_goes_on_bitwise",
    "test_compiled_steps_are_those_of_the_regularizer_and_permute_with_the_actions",
    "test_compiled_steps_at_extremes_are_the_maximizers",
    "test_counts_are_conserved_for_every_row_whatever_its_rounding",
    "test_counts_move_where_probability_is_extreme",
    "test_ctd_is_bitwise_reproducible_and_depends_on_its_seed",
    "test_ctd_leaves_the_policy_alone_and_moves_the_population_on",
    "test_each_epoch_is_a_mirror_ascent_step_on_its_estimate",
    "test_each_epoch_of_learning_has_its_own_strength",
    "test_episodes_are_a_function_of_the_seed",
    "test_epochs_of_one_length_are_one_run_of_networked_learning_bit_for_bit",
    "test_epochs_use_the_budget_up_and_grow",
    "test_every_agent_makes_its_own_mirror_ascent_step",
    "test_every_agent_plays_its_own_policy_and_no_action_without_probability",
    "test_every_agent_plays_the_action_of_its_own_policy_in_its_own_state",
    "test_every_call_of_the_simulator_is_counted",
    "test_few_agents_take_the_numbers_of_the_stream_one_after_the_other",
    "test_fewer_than_eight_replicates_have_a_value_and_no_interval",
    "test_independent_learners_of_a_wrapped_game_are_the_same",
    "test_independent_learners_refuse_an_infinite_step",
    "test_independent_learning_tells_of_every_epoch_and_the_policies_it_led_to",
    "test_kept_transitions_are_those_of_the_path",
    "test_learning_at_extremes_stays_in_its_range",
    "test_learning_is_bitwise_that_of_a_replicate_alone_whatever_their_number",
    "test_learning_starts_from_the_stated_q",
    "test_many_passes_lead_to_the_q_of_the_empirical_decision_process",
    "test_networked_learning_takes_any_regularizer_and_is_reproducible",
    "test_no_learned_policy_falls_below_a_floor_that_its_steps_would_cross",
    "test_numbers_of_updates_that_do_not_increase_from_one_are_refused",
    "test_of_one_agent_the_rewards_of_its_pairs_are_enough_bit_for_bit",
    "test_one_replicate_has_no_interval",
    "test_one_replicate_that_is_orders_above_the_others_has_an_interval_of_its_own_scale",
    "test_one_run_that_is_stuck_makes_an_interval_of_a_scale_and_is_said",
    "test_one_td_update_is_the_stated_one",
    "test_one_td_update_with_an_extreme_step_is_that_of_fifty_digits",
    "test_openspiel_s_learners_lower_the_exploitability_of_a_game_of_ours",
    "test_policies_are_taken_as_they_come",
    "test_policies_of_many_agents_are_renewed_slice_by_slice_to_the_bits_of_one_call",
    "test_replicates_that_are_killed_go_on_bitwise",
    "test_rewards_after_the_last_step_add_what_is_said_at_most_and_at_least",
    "test_rollouts_of_nothing_are_refused",
    "test_runs_that_end_at_another_equilibrium_are_told",
    "test_sarsa_with_a_frozen_policy_is_conditional_td_learning_bit_for_bit",
    "test_snapshots_are_the_estimates_of_shorter_runs_bitwise",
    "test_start_policies_of_another_shape_are_refused",
    "test_states_that_nobody_visits_have_no_features_and_no_measured_q",
    "test_statistics_of_all_resamples_at_once_are_those_of_each_to_the_bit",
    "test_steps_of_pma_on_one_trajectory_are_one_transition_of_the_tagged_agent_each",
    "test_sweeps_of_many_agents_move_together",
    "test_td_learning_in_pieces_is_bitwise_that_in_one",
    "test_td_learning_names_itself_where_it_refuses_a_step",
    "test_td_learning_of_a_wrapped_game_in_pieces_is_bitwise_that_in_one",
    "test_td_learning_saves_only_what_is_not_finished",
    "test_td_steps_with_which_estimates_would_grow_are_refused",
    "test_td_updates_are_the_stated_ones",
    "test_the_first_action_of_an_epoch_is_drawn_from_its_own_policy",
    "test_the_length_of_chunks_has_no_influence_on_averages",
    "test_the_length_of_chunks_has_no_influence_on_td_learning",
    "test_the_number_of_agents_is_that_of_a_given_population",
    "test_the_same_generator_gives_the_same_run",
    "test_the_same_seed_gives_bitwise_the_same_averages",
    "test_the_score_is_the_discounted_regularized_return_of_own_steps",
    "test_the_simulator_loses_no_agent",
    "test_the_two_timescale_path_is_the_same_in_chunks_of_any_length",
    "test_trajectories_of_a_wrapped_game_are_the_same_draw_by_draw",
    "test_visits_and_steps_of_exploring_learners_are_counted_by_pair",
    "test_what_is_no_policy_is_refused_with_the_agent_and_the_row",
    "test_what_rounding_leaves_of_a_mean_field_can_be_drawn_from",
    "test_whatever_the_policy_does_steps_do_not_grow_and_add_up_to_infinity",
    "test_with_an_infinite_step_each_epoch_is_the_best_response_to_its_estimate",
    "test_with_one_state_nobody_leaves",
    "test_with_scores_by_index_the_one_policy_is_that_of_the_last_agent",
    "test_with_the_mean_field_in_the_game_the_path_and_q_are_those_of_conditional_td_learning",
    "test_without_rounds_or_links_networked_learning_is_independent_learning_bit_for_bit",
}


def table(pytestconfig: pytest.Config) -> list[tuple[str, int, float, float, str]]:
    """Return what the marks of all tests say: one row a test, with the number of its cases."""
    rows: dict[str, tuple[str, int, float, float, str]] = {}
    for name, mark in pytestconfig.statistical_tests:
        count = rows[name][1] + 1 if name in rows else 1
        rows[name] = (name, count, mark.kwargs["false_alarm"], mark.kwargs["power"], mark.kwargs["against"])
    return sorted(rows.values())


def number(probability: float) -> str:
    """Return a probability, near one by what is missing."""
    missing = 1.0 - probability
    return f"1 − {missing:.0e}".replace("e-0", "e-") if missing < 1e-3 else f"{probability:g}"


def markdown(rows: list[tuple[str, int, float, float, str]]) -> str:
    lines = (f"| {name} | {n} | {alarm:g} | {number(power)} | {text} |\n" for name, n, alarm, power, text in rows)
    return HEAD + "".join(lines)


def test_false_alarms_of_a_run_add_up_to_less_than_the_budget(pytestconfig: pytest.Config) -> None:
    assert sum(n * alarm for _, n, alarm, _, _ in table(pytestconfig)) < BUDGET


def test_the_table_of_statistical_tests_is_that_of_their_marks(pytestconfig: pytest.Config) -> None:
    text = DOCUMENT.read_text()
    before, found = text.split(HEAD)
    rows = table(pytestconfig)
    if pytestconfig.getoption("force_regen"):
        DOCUMENT.write_text(before + markdown(rows))
        return
    lines = markdown(rows).splitlines()
    assert set(lines) <= set(text.splitlines()), "see the top of this file"
    # those that were not collected, because only some files are run, are there at least
    for line in found.splitlines():
        if line not in lines:
            module, _, statement = line.split(" | ")[0].strip("| ").partition(": ")
            assert f"def test_{statement.replace(' ', '_')}(" in (ROOT / "tests" / f"{module}.py").read_text(), line


def test_whoever_states_the_power_of_another_test_misses_as_rarely(pytestconfig: pytest.Config) -> None:
    marks = dict(pytestconfig.statistical_tests)
    for name, mark in marks.items():
        if "shown_by" in mark.kwargs:
            module, _, _ = name.partition(": ")
            shown = marks[f"{module}: {mark.kwargs['shown_by'].removeprefix('test_').replace('_', ' ')}"]
            assert shown.kwargs["false_alarm"] <= 1.0 - mark.kwargs["power"] + 1e-15, name


def test_no_test_decides_by_chance_without_a_level() -> None:
    unmarked = set()
    for path in (ROOT / "tests").rglob("test_*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                arguments = {argument.arg for argument in node.args.args}
                used = {x.attr if isinstance(x, ast.Attribute) else getattr(x, "id", "") for x in ast.walk(node)}
                if "level" not in arguments and used & STATISTICS:
                    unmarked.add(f"{node.name} in {path.name}")
                called = {x.func for x in ast.walk(node) if isinstance(x, ast.Call)}
                called = {x.attr if isinstance(x, ast.Attribute) else getattr(x, "id", "") for x in called}
                if "level" not in arguments and called & DRAWS and node.name not in FOR_EVERY_DRAW:
                    unmarked.add(f"{node.name} in {path.name}")
    assert not unmarked


# --- the comparisons themselves


@pytest.mark.statistical(
    false_alarm=1e-6, power=1 - 1e-9, against="normal in place of Student quantiles (8 replicates)"
)
def test_pvalues_are_uniform_where_nothing_is_wrong(level: Level) -> None:
    rng, trials = np.random.default_rng(0), 20_000
    normals = rng.normal(size=(8, trials))
    law = np.array([0.1, 0.2, 0.3, 0.4])
    counts = rng.multinomial(1000, law, size=trials)
    for pvalues in (
        of_means(normals, 0.0),
        of_normals(normals[0], 0.0, 1.0),
        of_binomials(rng.binomial(10**6, 0.3, size=trials), binom(10**6, 0.3)),  # hardly discrete
        chisquare(counts, 1000 * law, axis=1).pvalue,
    ):
        level.accept(kstest(pvalues, "uniform").pvalue, share=0.25)
    # how far the distribution function would be from that of the uniform law, and the inequality of Dvoretzky, Kiefer
    # and Wolfowitz for both: to be seen, and to be there
    x = np.linspace(0.001, 0.999, 999)
    distance = np.abs(2.0 * t.sf(norm.isf(x / 2), 7) - x).max()
    critical = np.sqrt(np.log(2.0 / (0.25 * level.false_alarm)) / (2 * trials))
    level.show(1.0 - 2.0 * np.exp(-2 * trials * (distance - critical) ** 2))


FAR = np.array([[1.0, 0.0], [1.1, 0.1]] * 8)


@pytest.mark.parametrize(
    ("compare", "arguments", "message"),
    [
        (Level.means, (FAR, 0.0), ""),
        (Level.counts, ([400, 600], [0.5, 0.5]), ""),
        (Level.accept, ([0.5, np.nan],), ""),
        (Level.detect, (1e-5, 1e-6), ""),
        (Level.means, (FAR, FAR.mean(axis=0), 0.0, FAR.mean(axis=0) + 0.01), "would be missed"),
        (Level.counts, ([500, 500], [0.5, 0.5], [0.52, 0.48]), "would be missed"),
    ],
)
def test_what_is_wrong_or_would_be_missed_fails(compare: Any, arguments: tuple[Any, ...], message: str) -> None:
    with pytest.raises(AssertionError, match=message or None):
        compare(Level(1e-6, 0.99), *arguments)
