"""Policies and mean fields as users have them: every public function takes them, or says what is wrong with them."""

import importlib
import inspect
import itertools
import pkgutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_array

import pma_mfg
import pma_replication
from pma_mfg import arrays, equilibrium, games, jacobian, operators, paths
from pma_mfg import learning as learning_package
from pma_mfg.audit import audit
from pma_mfg.errors import InputError
from pma_mfg.games import Features, MeanFieldGame
from pma_mfg.interop import bench_mfg
from pma_mfg.learning import algorithms as learning
from pma_mfg.learning import generative, schedules
from pma_mfg.learning.schedules import Schedule
from pma_mfg.plotting import pictures
from pma_mfg.populations import finite_population, fluctuations, own_policies, spread, td_moments
from pma_mfg.regularizers import Entropy
from pma_mfg.simulation import environments
from pma_mfg.simulation import exchangeable as simulation

GAME = games.make("planted_smooth", n_states=3, n_actions=2, discount=0.5, seed=1, strength=0.1)
#: With an equilibrium without a regularizer that is found from the policy below.
CALM = games.make("crowd_averse", n_states=3, n_actions=2, discount=0.5, seed=1, coupling=0.1)
POLICY = np.array([[0.25, 0.75], [0.5, 0.5], [0.625, 0.375]])
MEAN_FIELD = np.array([0.25, 0.5, 0.25])
ENTROPY = Entropy(0.3)
#: Parameters that hold a policy or a mean field wherever they are arrays.
NAMES = {*arrays.KINDS, "reference"}
#: Pieces of larger computations, which take whatever is a table for them.
INSIDE = {
    "equilibrium.best_responses.regularizer_size",
    "equilibrium.damped.checked",
    "equilibrium.damped.damped_iteration",
    "equilibrium.flow.implicit_flow",
    "equilibrium.newton_in_policy.fixed_point_residual",
    "equilibrium.newton_in_policy.newton",
    "equilibrium.newton_in_population.newton_in_law",
    "equilibrium.newton_in_population.newton_in_population",
    "equilibrium.newton_in_population.played",
    "equilibrium.newton_in_population.separate_parts",
    "equilibrium.newton_in_population.within_classes",
    "equilibrium.solution.finished",
    "games.functions.differences",
    "games.functions.is_constant_near",
    "games.functions.returned",
    "learning.algorithms.td_updates",
    "learning.replay.over",
    "operators.policy_chain",
    "operators.population_error",
    "operators.relative_distance",
    "paths.limit.unregularized_residual",
    "paths.system.inner",
    "paths.system.length",
    "pma_replication.experiments.comparison.measure.compare",
    "pma_replication.experiments.contraction.measure.no_game_rate",
    "pma_replication.experiments.coupling.measure.runs",
    "pma_replication.experiments.independent.measure.dividing_line",
    "pma_replication.experiments.independent.measure.rates",
    "populations.finite_population.distances_of",
    "populations.gaussian_averages.directional_derivatives",
    "populations.gaussian_averages.kink_shares",
    "populations.gaussian_averages.second_derivatives",
    "regularizers.floors.check_step",
    "regularizers.weighted.step",
    "simulation.agents.frozen_tables",
    "theory.certificates.farthest_in",
    "theory.search.policy_mirror_ascent",
    "theory.search.random_policy",
    "theory.search.stable_population",
}


def public_functions():
    """Return all public functions of the library by their names."""
    found = {}
    packages = [(package.__path__, f"{package.__name__}.") for package in (pma_mfg, pma_replication)]
    for module in itertools.chain.from_iterable(itertools.starmap(pkgutil.walk_packages, packages)):
        if "interop" in module.name or module.name.endswith(("report", ".style", ".draw")):
            continue  # these need more packages, or take tables
        loaded = importlib.import_module(module.name)
        for name, function in vars(loaded).items():
            if inspect.isfunction(function) and function.__module__ == module.name and not name.startswith("_"):
                found[f"{module.name.removeprefix('pma_mfg.')}.{name}"] = function
    return found


FUNCTIONS = public_functions()
DECORATED = {name: function for name, function in FUNCTIONS.items() if hasattr(function, "accepts")}


def test_every_public_function_that_takes_a_policy_or_a_mean_field_takes_it_as_it_comes():
    missing = []
    for name, function in FUNCTIONS.items():
        for parameter in inspect.signature(function).parameters.values():
            array = "ndarray" in str(parameter.annotation)
            if parameter.name in NAMES and array and parameter.name not in getattr(function, "accepts", {}):
                missing.append(name)
    assert set(missing) <= INSIDE


def forms(array, folder):
    """Return the same numbers as users have them."""
    locked = array.copy()
    locked.flags.writeable = False
    path = folder / f"{array.ndim}.npy"
    np.save(path, array)
    frame = pd.DataFrame(array) if array.ndim == 2 else pd.Series(array)
    return {
        "read-only": locked,
        "list": array.tolist(),
        "data frame": frame,
        "table of pandas": frame.to_numpy(),
        "big-endian": array.astype(">f8"),
        "Fortran order": np.asfortranarray(array),
        "single precision": array.astype(np.float32),  # these numbers are known exactly
        "memory-mapped": np.load(path, mmap_mode="r"),
        "part of a larger array": np.stack([array, array], axis=-1)[..., 0],
    }


def rng():
    return np.random.default_rng(0)


SCHEDULE = Schedule(1, 20, 1, 0.5, 5.0, 5.0)
CALLS = {
    "population_update": lambda p, m: operators.population_update(GAME, m, p),
    "population_jacobian": lambda p, m: operators.population_jacobian(GAME, m, p),
    "stable_population": lambda p, m: operators.stable_population(GAME, p, start=m),
    "q_values": lambda p, m: operators.q_values(GAME, p, m, regularizer=ENTROPY),
    "state_values": lambda p, m: operators.state_values(GAME, p, m, regularizer=ENTROPY),
    "mirror_ascent_step": lambda p, m: operators.mirror_ascent_step(p, p, 1.0, regularizer=ENTROPY),
    "policy_mirror_ascent": lambda p, m: operators.policy_mirror_ascent(GAME, p, 1.0, regularizer=ENTROPY),
    "policy_distance": lambda p, m: operators.policy_distance(p, POLICY[::-1]),
    "transition": lambda p, m: GAME.transition(m),
    "reward": lambda p, m: GAME.reward(m),
    "jacobian": lambda p, m: jacobian.jacobian(GAME, p, 1.0, regularizer=ENTROPY),
    "best_response_derivative": lambda p, m: jacobian.best_response_derivative(GAME, m, p, regularizer=ENTROPY),
    "solve": lambda p, m: equilibrium.solve(GAME, ENTROPY, start=p).policy,
    "from_population": lambda p, m: equilibrium.from_population(GAME, ENTROPY, m).policy,
    "exploitability": lambda p, m: equilibrium.exploitability(GAME, p, ENTROPY, mean_field=m),
    "best_response": lambda p, m: equilibrium.best_response(GAME.transition(m), p, 0.5, regularizer=ENTROPY),
    "ctd": lambda p, m: learning.ctd(
        GAME, p, 10, regularizer=ENTROPY, n_updates=20, n_waiting=1, td_scale=2.0, td_offset=4.0, rng=rng()
    ),
    "centralized": lambda p, m: learning.centralized(GAME, 10, ENTROPY, schedule=SCHEDULE, rng=rng(), start=p),
    "independent": lambda p, m: learning.independent(
        GAME, 4, ENTROPY, schedule=SCHEDULE, rng=rng(), start=p
    ).policies(),
    "networked": lambda p, m: learning_package.networked(
        GAME, 4, ENTROPY, schedule=SCHEDULE, rng=rng(), graph="ring", rounds=1, temperature=1.0, start=p
    ).policies(),
    "own_policies": lambda p, m: own_policies.evaluate(GAME, np.asarray(p)[None], ENTROPY).returns,
    "initial_population": lambda p, m: simulation.initial_population(GAME, 50, rng(), mean_field=m).others,
    "ergodic_averages": lambda p, m: (
        simulation.ergodic_averages(GAME, p, 10, n_steps=20, rng=rng(), n_burn_in=2, centre=m).mean_field
    ),
    "td_scale": lambda p, m: schedules.td_scale(GAME, p),
    "learning_limit": lambda p, m: finite_population.learning_limit(GAME, p, 3, regularizer=ENTROPY),
    "stationary_covariance": lambda p, m: fluctuations.stationary_covariance(GAME, p),
    "td_moments": lambda p, m: spread.td_moments(GAME, p, ENTROPY, n_updates=5, scale=2.0, offset=4.0)[1],
    "forgetting_rate": lambda p, m: td_moments.forgetting_rate(GAME, p),
    "sampled_q": lambda p, m: generative.sampled_q(
        GAME.transition(m), p, 0.5, regularizer=ENTROPY, policy=p, n_sweeps=3, constant=1.0, start=0.0, rng=rng()
    ),
    "settled": lambda p, m: generative.settled(GAME, m, p, n_agents=50, rng=rng()),
    "environment": lambda p, m: environments.environment(GAME, 20, seed=0, mean_field=m).states,
    "draw_actions": lambda p, m: environments.environment(GAME, 20, seed=0).draw_actions(p),
    "rollout": lambda p, m: environments.rollout(GAME, p, 3, seed=0, n_agents=20, mean_field=m).returns,
    "audit": lambda p, m: audit(GAME, p, ENTROPY, n_agents=[2]).gains[0].regularized,
    "drawn": lambda p, m: [*pictures.drawn(GAME, p, m).shares, *pictures.drawn(GAME, p, m).probabilities],
    "equilibrium_path": lambda p, m: (
        paths.equilibrium_path(GAME, ENTROPY, start=p, strengths=(0.4, 0.3)).points[-1].policy
    ),
    "polish": lambda p, m: paths.polish(CALM, p, mean_field=m).policy,
    "interop.bench_mfg": lambda p, m: bench_mfg.stationary_policy(p, GAME),
}


@pytest.mark.parametrize("call", CALLS)
def test_whatever_holds_the_same_numbers_gives_the_same_result(call, tmp_path):
    expected = CALLS[call](POLICY, MEAN_FIELD)
    policies, mean_fields = forms(POLICY, tmp_path), forms(MEAN_FIELD, tmp_path)
    for form in policies:
        found = CALLS[call](policies[form], mean_fields[form])
        # another layout in memory may change the order of a sum, by some roundings of numbers of order one
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-11, err_msg=form)


def test_learners_of_other_libraries_start_at_a_mean_field_as_it_comes(tmp_path):
    pytest.importorskip("pettingzoo")
    pytest.importorskip("gymnasium")
    from pma_mfg.interop.gymnasium import vector_env
    from pma_mfg.interop.pettingzoo import parallel_env

    def starts(mean_field):
        yield list(parallel_env(GAME, 20, mean_field=mean_field).reset(seed=0)[0].values())
        yield vector_env(GAME, 20, mean_field=mean_field).reset(seed=0)[0].tolist()

    expected = list(starts(MEAN_FIELD))
    for form, given in forms(MEAN_FIELD, tmp_path).items():
        assert list(starts(given)) == expected, form
    for make in (parallel_env, vector_env):
        for wrong in ([0.5, 0.5, 0.25], np.array([0.5, 0.5, 0.25], dtype=">f4")):
            with pytest.raises(InputError, match=r"mean_field: got the sum 1\.25, off by 0\.25"):
                make(GAME, 20, mean_field=wrong)
        with pytest.raises(InputError, match="mean_field: got values of type <U4, expected an array of real numbers"):
            make(GAME, 20, mean_field=["0.25", "0.50", "0.25"])


@pytest.mark.parametrize("call", ["draw_actions", "rollout", "interop.bench_mfg", "exploitability"])
def test_what_is_no_policy_is_refused_with_its_row_and_by_how_much(call):
    wrong = POLICY * np.array([[1.0], [0.75], [1.0]])
    with pytest.raises(InputError, match=r"row 1: got the sum 0\.75, off by -0\.25") as raised:
        CALLS[call](wrong, MEAN_FIELD)
    assert "\n" not in str(raised.value)


def test_an_array_that_will_do_is_used_as_it_is():
    seen = []

    @arrays.accepts(start="policies")
    def probe(game, policy, mean_field, start=None):
        seen.extend((policy, mean_field, start))

    probe(GAME, POLICY, MEAN_FIELD, start=POLICY[None])
    assert seen[0] is POLICY
    assert seen[1] is MEAN_FIELD
    assert arrays.contiguous(POLICY) is POLICY
    locked = POLICY.copy()
    locked.flags.writeable = False
    assert arrays.contiguous(locked).flags.writeable
    assert not np.shares_memory(arrays.contiguous(locked), locked)


SINGLE = np.array([[0.1, 0.9], [0.7, 0.3], [0.2, 0.8]], dtype=np.float32)
WRONG = {
    "float32": (SINGLE, r"row 1: got the sum .*, off by .*type float32.*astype|row \d: .*float32.*dtype=float"),
    "a sum": ([[0.5, 0.5], [0.5, 0.75], [1, 0]], r"row 1: got the sum 1.25, off by 0.25, expected rows of prob"),
    "negative": ([[0.5, 0.5], [0.5, 0.5], [1.25, -0.25]], r"row 2, entry 1: got -0.25, expected rows of probab"),
    "nan": ([[0.5, np.nan], [0.5, 0.5], [1, 0]], r"row 0, entry 1: got nan, expected rows of probabilities"),
    "texts": ([["0.5", "0.5"]] * 3, r": got values of type <U3, expected an array of real numbers"),
    "complex": (POLICY * 1j, r": got values of type complex128, expected an array of real numbers"),
    "ragged": ([[0.5, 0.5], [1.0]], r": got a value of type list, expected an array of real numbers"),
    "masked": (np.ma.masked_array(POLICY, POLICY > 0.7), r": got masked values, expected an array of real"),
    "sparse": (csr_array(POLICY), r": got a sparse one, expected an array of real numbers"),
    "too short": (POLICY[:2], r": got shape \(2, 2\), expected shape \(3, 2\)"),
    "no number": (object(), r": got a value of type object, expected an array of real numbers"),
}


@pytest.mark.parametrize("name", DECORATED)
def test_what_is_no_policy_or_mean_field_is_refused_with_the_row_before_anything_else(name):
    function, place = DECORATED[name], name.rpartition("pma_mfg.")[2].split(".")
    source = f"equilibrium.{place[-1]}" if "equilibrium" in place else ".".join(place[-2:])
    for parameter, kind in function.accepts.items():
        if kind in ("policy", "policies"):
            for wrong, message in WRONG.values():
                with pytest.raises(InputError, match=rf"{source}: {parameter}.*{message}"):
                    function(**{"game": GAME, parameter: wrong})
        elif kind == "mean_field":
            for wrong, message in (
                ([0.5, 0.5, 0.25], r": got the sum 1.25, off by 0.25, expected a distribution"),
                ([0.5, -0.5, 1], r": entry 1: got -0.5, expected a distribution"),
                ([0.5, 0.5], r": got shape \(2,\), expected shape \(3,\)"),
            ):
                with pytest.raises(InputError, match=rf"{source}: {parameter}{message}"):
                    function(**{"game": GAME, parameter: wrong})
        else:
            with pytest.raises(InputError, match=rf"{source}: {parameter}: got values of type <U1"):
                function(**{parameter: [["a"]]})


def test_the_advice_for_single_precision_mends_it():
    x = np.asarray(SINGLE, dtype=float)
    x = x / x.sum(axis=-1, keepdims=True)
    operators.stable_population(GAME, x)


def test_what_rounding_leaves_of_a_mean_field_can_be_drawn_from():
    mean_field = np.array([1.0 + 5e-10, -1e-16, 1e-16])
    assert simulation.initial_population(GAME, 10, rng(), mean_field=mean_field).others[0] == 9


def test_a_game_takes_its_tables_as_they_come():
    whole = replace(GAME, base_reward=np.array([[1.0, 2.0], [0.0, 1.0], [3.0, 0.0]]))
    for form in ([[1, 2], [0, 1], [3, 0]], np.array([[1, 2], [0, 1], [3, 0]]), pd.DataFrame([[1, 2], [0, 1], [3, 0]])):
        np.testing.assert_array_equal(replace(whole, base_reward=form).reward(MEAN_FIELD), whole.reward(MEAN_FIELD))
    locked = MeanFieldGame(
        discount=0.5,
        base_transition=np.broadcast_to(MEAN_FIELD, (3, 2, 3)).astype(">f8"),
        base_reward=np.asfortranarray(POLICY),
        transition_terms=np.zeros((0, 3, 2, 3)),
        transition_features=Features.none(3),
        reward_terms=np.zeros((0, 3, 2)),
        reward_features=Features.none(3),
    )
    assert np.isfinite(
        learning.ctd(
            locked, POLICY, 10, regularizer=ENTROPY, n_updates=5, n_waiting=0, td_scale=1.0, td_offset=2.0, rng=rng()
        )
    ).all()
    with pytest.raises(InputError, match=r"sum of P.*type float32.*dtype=float"):
        replace(GAME, base_transition=GAME.base_transition.astype(np.float32))
