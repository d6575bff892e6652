"""The schedule of the theorem suffices and wastes little, the practical one has its orders; some games have neither."""

import numpy as np
import pytest
from tests.references import family_game, frozen_game

from pma_mfg import equilibrium, games, jacobian, operators
from pma_mfg.errors import InputError
from pma_mfg.learning import algorithms as learning
from pma_mfg.learning import schedules
from pma_mfg.learning.schedules import Schedule
from pma_mfg.populations import td_moments
from pma_mfg.regularizers import Entropy, Quadratic
from pma_mfg.theory import certificates, invariant_sets, lipschitz, prescription

PLANTED = family_game("planted_smooth", n_states=3, n_actions=2, discount=0.5, strength=0.3, seed=1)
CERTIFIED = family_game(
    "affine", n_states=3, n_actions=2, discount=0.5, K_mu=0.1, K_s=0.3, K_a=0.2, L_mu=0.01, L_s=0.02, L_a=0.05
)


def test_samples_are_counted_with_the_waiting_steps():
    assert Schedule(3, 50, 4, 1.0, 1.0, 2.0).n_samples == 3 * 50 * 5


@pytest.mark.parametrize(
    ("field", "value", "allowed"),
    [
        ("n_epochs", 0, "an integer >= 1"),
        ("n_epochs", 2.0, "an integer >= 1"),
        ("n_epochs", True, "an integer >= 1"),
        ("n_updates", 0, "an integer >= 1"),
        ("n_updates", "many", "an integer >= 1"),
        ("n_waiting", -1, "an integer >= 0"),
        ("step_size", 0.0, "a number > 0"),
        ("step_size", float("nan"), "a number > 0"),
        ("td_scale", -1.0, "a finite number > 0"),
        ("td_scale", 0.0, "a finite number > 0"),
        ("td_offset", 0.5, "a finite number >= td_scale = 1.0"),
        ("td_offset", float("nan"), "a finite number >= td_scale"),
        ("td_offset", float("inf"), "a finite number >= td_scale"),
    ],
)
def test_a_schedule_out_of_range_is_refused(field, value, allowed):
    good = {"n_epochs": 1, "n_updates": 1, "n_waiting": 0, "step_size": 1.0, "td_scale": 1.0, "td_offset": 1.0}
    with pytest.raises(InputError, match=rf"^Schedule: {field}: got .*expected {allowed}"):
        Schedule(**(good | {field: value}))


# --- the theorem's schedule


@pytest.mark.parametrize(("strength", "epsilon"), [(0.3, 0.1), (0.3, 0.05), (0.1, 0.3)])
def test_the_schedules_td_learning_is_as_accurate_as_the_proof_says(strength, epsilon):
    """Exactly, with infinitely many agents, for policies at the edge of the set that learning keeps."""
    regularizer = Entropy(strength)
    schedule = prescription.theorem_schedule(CERTIFIED, regularizer, 10.0 / strength, epsilon=epsilon)
    noisy = invariant_sets.noisy_set(CERTIFIED, regularizer)
    rate, start, noise = certificates.noisy_contraction(CERTIFIED, regularizer, 10.0 / strength, noisy=noisy)
    power = rate**schedule.n_epochs
    accuracy = (epsilon - power * start) * (1 - rate) / (noise * (1 - power))
    assert accuracy > 0
    least = noisy.policies.least[0]
    for extreme in ([0, 0, 0], [1, 0, 1], [1, 1, 0]):
        policy = least + (1 - 2 * least) * np.eye(2)[extreme]
        found = td_moments.moments(
            CERTIFIED,
            policy,
            regularizer,
            n_updates=[schedule.n_updates],
            n_waiting=schedule.n_waiting,
            td_scale=schedule.td_scale,
            td_offset=schedule.td_offset,
            start=schedule.start,
        )
        assert 0.01 * accuracy < np.sqrt(found.mean_square.sum()) <= accuracy


@pytest.mark.statistical(false_alarm=1e-6, power=0.99, against="policies that stay where they start")
def test_learning_as_prescribed_is_as_accurate_as_prescribed(level):
    regularizer, epsilon = Entropy(0.1), 0.2
    schedule = prescription.theorem_schedule(CERTIFIED, regularizer, 100.0, epsilon=epsilon)
    target = equilibrium.solve(CERTIFIED, regularizer).policy
    least = invariant_sets.noisy_set(CERTIFIED, regularizer).policies.least[0]
    corners = [least + (1 - 2 * least) * np.eye(2)[list(actions)] for actions in np.ndindex(2, 2, 2)]
    start = max(corners, key=lambda policy: operators.policy_distance(policy, target))
    distances = []
    for seed in range(4):
        rng = np.random.default_rng(seed)
        policies = learning.centralized(CERTIFIED, 10**9, regularizer, schedule=schedule, rng=rng, start=start)
        distances.append([operators.policy_distance(policies[-1], target)])
    level.means(distances, 0.0, bias=epsilon, planted=operators.policy_distance(start, target))


def test_samples_of_the_theorem_grow_as_the_inverse_square_of_epsilon():
    # from 1e-4 on the contraction's share is negligible; K and M_mix grow logarithmically
    regularizer = Entropy(0.3)
    fine, finer = (
        prescription.theorem_schedule(CERTIFIED, regularizer, 30.0, epsilon=epsilon) for epsilon in (1e-4, 1e-6)
    )
    assert finer.n_updates / fine.n_updates == pytest.approx(1e4, rel=0.2)
    assert fine.n_waiting < finer.n_waiting < 2 * fine.n_waiting
    assert fine.n_epochs < finer.n_epochs < 2 * fine.n_epochs
    assert fine.start == finer.start


@pytest.mark.parametrize(
    ("game", "regularizer", "words"),
    [
        (CERTIFIED, Quadratic(1.0), "regularizer: .*the entropy"),
        (CERTIFIED, Entropy(1e-3), "L_Gamma_eta: .*not certified"),
        (family_game("planted_kinked"), Entropy(1.0), "affine in the mean field"),
        (family_game("affine", K_mu=0.9, K_s=1.5, K_a=1.5), Entropy(1.0), "L_pop: .*Assumption 2"),
        (games.make("contraction_game"), Entropy(1.0), r"L_pop: got 1\.0, .*Assumption 2"),
    ],
)
def test_a_game_without_the_theorems_assumptions_is_refused(game, regularizer, words):
    with pytest.raises(InputError, match=words):
        prescription.theorem_schedule(game, regularizer, 1.0, epsilon=0.1)


def test_an_accuracy_that_one_update_reaches_takes_one():
    found = prescription.theorem_schedule(CERTIFIED, Entropy(1.0), 10.0, epsilon=0.9)
    assert (found.n_epochs, found.n_updates) == (1, 1)


def test_one_action_needs_no_learning():
    game = family_game("affine", n_states=3, n_actions=1, discount=0.5, K_mu=0.1, K_s=0.3, K_a=0.0, L_mu=0.01, L_a=0.0)
    assert prescription.theorem_schedule(game, Entropy(1.0), 1.0, epsilon=0.1).n_samples == 2


@pytest.mark.parametrize("epsilon", [0.0, -1.0, np.nan])
def test_an_accuracy_that_is_not_positive_has_no_schedule_of_the_theorem(epsilon):
    with pytest.raises(InputError, match=r"epsilon: got .* expected a number > 0"):
        prescription.theorem_schedule(CERTIFIED, Entropy(0.3), 1.0, epsilon=epsilon)


@pytest.mark.parametrize(("strength", "epsilon"), [(0.3, 0.1), (0.3, 0.003), (0.1, 0.3)])
def test_the_theorems_schedule_suffices_and_none_that_suffices_is_much_cheaper(strength, epsilon):
    regularizer, step_size, size = Entropy(strength), 10.0 / strength, 6
    found = prescription.theorem_schedule(CERTIFIED, regularizer, step_size, epsilon=epsilon)
    noisy = invariant_sets.noisy_set(CERTIFIED, regularizer)
    rate, start, noise = certificates.noisy_contraction(CERTIFIED, regularizer, step_size, noisy=noisy)
    q_range, L_pop = noisy.high - noisy.low, lipschitz.constants(CERTIFIED).L_pop
    alpha = 0.5 * (noisy.policies.least_mean_field * noisy.policies.least).min()

    def needed(epochs, first_step, share):
        """Return M_mix and M_td of Theorem 10.5 for K, b and x."""
        accuracy = (epsilon - rate**epochs * start) * (1 - rate) / (noise * (1 - rate**epochs))
        scale = 1 / ((1 - first_step * 0.25) * alpha)
        waiting = np.ceil(np.log(3 * q_range * scale / (share * accuracy)) / np.log(1 / L_pop))
        variance = scale**2 * (noisy.target_span**2 / 4 + 4 * q_range**2 * L_pop**waiting)
        constant = np.maximum(variance, scale / first_step * size * q_range**2 / 4)
        return waiting, np.ceil(constant / ((1 - share) * accuracy) ** 2 - scale / first_step), accuracy, scale

    first_step = found.td_scale / found.td_offset
    _, _, accuracy, scale = needed(found.n_epochs, first_step, 0.5)
    assert found.td_scale == pytest.approx(scale, rel=1e-12)
    assert found.start == 0.5 * (noisy.low + noisy.high)
    # the smallest x that the waiting time allows leaves the most to the updates
    share = 3 * q_range * scale * L_pop**found.n_waiting / accuracy * (1 + 1e-12)
    assert needed(found.n_epochs, first_step, share)[1] <= found.n_updates
    fewest = np.inf
    for epochs in range(1, 200):
        if rate**epochs * start < epsilon:
            grid = np.meshgrid(np.linspace(0.005, 1.0, 80), np.geomspace(1e-4, 0.9, 80))
            waiting, updates, _, _ = needed(epochs, *grid)
            fewest = min(fewest, (epochs * updates * (waiting + 1)).min())
    # both minima are over grids: of 80 x 80 here, of 100 x 60 there
    assert found.n_samples <= 1.02 * fewest


def test_the_theorems_schedule_says_which_assumption_fails(monkeypatch):
    arguments = (CERTIFIED, Entropy(0.3), 30.0)
    with monkeypatch.context() as patched:
        patched.setattr(prescription, "MIN_PROBABILITY", 0.5)  # more than any of two actions can keep
        with pytest.raises(InputError, match=r"p_inf: got 0\.[0-9]+, expected at least 0\.5 \(Assumption 3\)"):
            prescription.theorem_schedule(*arguments, epsilon=1e-4)
    # the contraction alone asks for log(epsilon) / log(rate) epochs
    fewest = prescription.theorem_schedule(*arguments, epsilon=1e-4).n_epochs
    monkeypatch.setattr(prescription, "MAX_EPOCHS", 1)
    with pytest.raises(InputError, match=r"L_Gamma_eta: .*a bound whose power 1 is small enough"):
        prescription.theorem_schedule(*arguments, epsilon=1e-4)
    assert fewest > 1
    # everybody goes to state 0: state 1 is never visited
    game = frozen_game(np.tile([1.0, 0.0], (2, 2, 1)), np.zeros((2, 2)), 0.5)
    with pytest.raises(InputError, match=r"delta_mix: got 0\.0, expected a positive bound \(Assumption 4"):
        prescription.theorem_schedule(game, Entropy(1.0), 1.0, epsilon=0.1)


def test_one_action_has_the_middle_of_the_range_of_q_as_its_start():
    game = family_game("affine", n_states=3, n_actions=1, discount=0.5, K_mu=0.1, K_s=0.3, K_a=0.0, L_mu=0.01, L_a=0.0)
    noisy = invariant_sets.noisy_set(game, Entropy(1.0))
    assert noisy.low != -noisy.high
    assert prescription.theorem_schedule(game, Entropy(1.0), 1.0, epsilon=0.1).start == 0.5 * (noisy.low + noisy.high)


# --- the practical schedule


@pytest.mark.parametrize("epsilon", [0.4, 0.03, 1e-4])
def test_the_practical_schedule_takes_the_fewest_steps_of_section_10_6(epsilon):
    regularizer, policy, step_size = Entropy(0.3), PLANTED.planted.policy, 3.0
    found = schedules.practical_schedule(
        PLANTED, regularizer, policy, step_size=step_size, epsilon=epsilon, td_constant=2.5, waiting_constant=1.5
    )
    rate = np.abs(np.linalg.eigvals(jacobian.jacobian(PLANTED, policy, step_size, regularizer=regularizer))).max()
    assert rate**found.n_epochs <= epsilon / 2 < rate ** (found.n_epochs - 1)
    assert found.n_updates - 1 < (2.5 / epsilon) ** 2 <= found.n_updates
    assert found.n_waiting - 1 < 1.5 * np.log(1 / epsilon) <= found.n_waiting
    visits = PLANTED.planted.mean_field[:, None] * policy
    # the stable population is solved to 1e-13, and the steps begin with 1: c = m_0
    assert found.td_scale == pytest.approx(1 / (0.5 * visits.min()), rel=1e-11)
    assert found.td_offset == found.td_scale
    assert found.step_size == step_size
    assert found.start == schedules.td_start(PLANTED, regularizer)


def test_a_schedule_makes_an_epoch_and_an_update_and_waits_only_where_it_is_told():
    # one action: PMA is constant, its rate 0
    game = family_game("affine", n_actions=1, K_a=0.0, L_a=0.0)
    found = schedules.practical_schedule(
        game, Entropy(1.0), np.ones((4, 1)), step_size=1.0, epsilon=0.9, td_constant=1e-3, waiting_constant=0.0
    )
    assert (found.n_epochs, found.n_updates, found.n_waiting) == (1, 1, 0)


@pytest.mark.parametrize("regularizer", [Entropy(0.3), Quadratic(0.3)], ids=str)
def test_learning_starts_from_the_value_of_the_middle_reward_with_the_largest_h(regularizer):
    rewards = np.array([[-1.0, 0.5], [0.25, 3.0]])
    game = frozen_game(np.full((2, 2, 2), 0.5), rewards, 0.8)
    start, h_max = schedules.td_start(game, regularizer), float(regularizer.value(np.array([0.5, 0.5])))
    # a Q that is the same everywhere obeys Q = r + gamma (Q + h)
    assert start == pytest.approx(1.0 + 0.8 * (start + h_max), rel=1e-14)


@pytest.mark.parametrize("epsilon", [0.0, -0.1, 1.0, np.nan])
def test_an_accuracy_outside_the_unit_interval_is_refused(epsilon):
    with pytest.raises(
        InputError, match=r"^schedules\.practical_schedule: epsilon: got .* expected a number in \(0, 1\)"
    ):
        schedules.practical_schedule(
            PLANTED,
            Entropy(0.3),
            PLANTED.planted.policy,
            step_size=3.0,
            epsilon=epsilon,
            td_constant=1.0,
            waiting_constant=1.0,
        )


def test_a_step_size_at_which_pma_does_not_contract_has_no_practical_schedule():
    # the uniform policy, where attraction gives the best response an eigenvalue above 1 (section 6.4): no step helps
    game = games.make("coordination", n_states=2, discount=0.5, attraction=20.0)
    for step_size, message in ((1e3, r"spectral radius [1-9]"), (1e-9, r"spectral radius 1\.000 < 1")):
        with pytest.raises(InputError, match=r"step_size: .*PMA contracts \(" + message):
            schedules.practical_schedule(
                game,
                Entropy(1.0),
                np.full((2, 2), 0.5),
                step_size=step_size,
                epsilon=0.1,
                td_constant=1.0,
                waiting_constant=1.0,
            )


def test_td_learning_has_no_step_for_a_policy_that_leaves_out_an_action():
    with pytest.raises(InputError, match="visits every state and action"):
        schedules.td_scale(PLANTED, np.tile([1.0, 0.0], (3, 1)))
