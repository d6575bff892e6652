"""A regularizer of the user's own: certified no better than proved, solved, learnt with, saved, loaded, refused."""

from pathlib import Path

import numpy as np
import pytest
from tests.own_regularizers import Barrier, Faint, Sharp, Tsallis
from tests.references import family_game

from pma_mfg import equilibrium, games, iterations, jacobian, operators, regularizers
from pma_mfg.cli import main
from pma_mfg.equilibrium import continuation, damped, flow, search
from pma_mfg.errors import ConvergenceError, InputError
from pma_mfg.learning import algorithms as learning
from pma_mfg.learning import generative
from pma_mfg.learning.schedules import Schedule
from pma_mfg.regularizers import Entropy, Quadratic, Weighted
from pma_mfg.simulation import agents
from pma_mfg.theory import attraction, certificates, invariant_sets, lipschitz, prescription
from pma_mfg.theory import search as ratios
from pma_replication import cli
from pma_replication.experiments.comparison import measure as comparison_measure
from pma_replication.experiments.literature import measure as literature_measure

OWN = (Tsallis, Barrier, Faint, Sharp)
FILE = Path(__file__).with_name("own_regularizers.py")
PLANTED = games.make("planted_smooth", n_states=3, n_actions=2, discount=0.5, seed=1, strength=0.1)

own = pytest.mark.parametrize("own", OWN)


def random_rows(seed=0, actions=3, rows=4):
    rng = np.random.default_rng(seed)
    return rng.uniform(-2.0, 2.0, size=(rows, actions)), rng.dirichlet(np.ones(actions), size=rows)


# --- certificates


@own
@pytest.mark.parametrize("strength", [0.5, 2.0, 8.0])
@pytest.mark.parametrize("actions", [2, 3])
def test_no_certificate_is_below_the_spectral_radius_or_any_ratio(own, strength, actions):
    game = games.make("planted_smooth", n_states=3, n_actions=actions, discount=0.5, seed=1, strength=0.1)
    regularizer = own(strength)
    found = invariant_sets.invariant_set(game, regularizer)
    nash = equilibrium.solve(game, regularizer).policy
    inside = ratios.in_invariant_set(game, regularizer, "euclidean")
    assert inside(nash).all()
    rng = np.random.default_rng(0)
    pairs = [[ratios.random_policy(game, rng, inside) for _ in range(2)] for _ in range(3)]
    slopes = [np.ptp(regularizer.gradient(policy), axis=1) for pair in pairs for policy in pair]
    if np.isfinite(found.gap).all():
        assert (np.array(slopes) <= found.gap - found.q_span + 1e-9).all()
    for step_size in (1.0 / regularizer.rho, 10.0 / regularizer.rho):
        radius = jacobian.spectral_radius(jacobian.jacobian(game, nash, step_size, regularizer=regularizer))
        best = certificates.certificate(game, regularizer, step_size, found=found)
        attracted = attraction.attraction(game, regularizer, [step_size], equilibrium=nash, found=found)[0]
        bound = lipschitz.contraction_bound(game, regularizer, step_size).L_gamma
        assert radius <= min(best.L_gamma, attracted, bound) * (1.0 + 1e-9)
        for pair in pairs:
            moved = [
                operators.policy_mirror_ascent(game, policy, step_size, regularizer=regularizer) for policy in pair
            ]
            assert all(inside(policy).all() for policy in moved)
            apart, after = (np.linalg.norm(x[0] - x[1], axis=1) / best.weights for x in (pair, moved))
            if best.norm == "l2":
                assert after.max() <= best.L_gamma * apart.max() + 1e-9


def test_certificates_of_strong_regularizers_of_any_bounded_kind_are_finite():
    """Or nothing would have been tested above."""
    for own in (Tsallis, Faint, Sharp):
        regularizer = own(1000.0)
        assert certificates.certificate(PLANTED, regularizer, 1.0 / regularizer.rho).L_gamma < 1.0
        nash = equilibrium.solve(PLANTED, regularizer).policy
        assert attraction.attraction(PLANTED, regularizer, [1.0 / regularizer.rho], equilibrium=nash)[0] < 1.0
    barrier = Barrier(1000.0)
    assert certificates.certificate(PLANTED, barrier, 1.0 / barrier.rho).L_gamma < 1.0


def test_what_has_another_strength_but_is_the_quadratic_gets_no_better_certificate():
    for step_size in (10.0, 100.0):
        own, same = (certificates.certificate(PLANTED, h, step_size) for h in (Faint(2.0), Quadratic(0.2)))
        assert own.L_gamma >= same.L_gamma * (1.0 - 1e-12)


@own
def test_an_unbounded_span_or_gradient_certifies_nothing_and_warns_of_nothing(own):
    class Steep(own):
        def span(self, n_actions):
            return float("inf")

        def gradient_span(self, n_actions, gap):
            return float("inf")

    assert certificates.certificate(PLANTED, Steep(0.5), 1.0).L_gamma == np.inf
    assert lipschitz.contraction_bound(PLANTED, Steep(0.5), 1.0).L_gamma == np.inf
    assert invariant_sets.least_probability(PLANTED, Steep(0.5), 1.0) == 0.0


@own
def test_what_is_proved_for_the_entropy_alone_is_refused_by_name(own):
    regularizer, rng = own(1.0), np.random.default_rng(0)
    noisy = invariant_sets.noisy_set(PLANTED, Entropy(1.0))
    frozen = PLANTED.transition(np.full(3, 1 / 3)), PLANTED.reward(np.full(3, 1 / 3)), 0.5
    settings = {"first": 1.0, "growth": 1.0, "constant": 1.0, "share": 1.0, "step_size": 1.0}
    task = generative.Task(PLANTED, regularizer, rng, 100, 2)
    two = {"first": 1.0, "growth": 1.0, "q_exponent": 1.0, "mean_field_exponent": 1.0, "exploration": 0.1}
    for refused in (
        lambda: prescription.theorem_schedule(PLANTED, regularizer, 1.0, epsilon=0.1),
        lambda: certificates.noisy_contraction(PLANTED, regularizer, 1.0, noisy=noisy),
        lambda: generative.sampled_q(
            *frozen, regularizer=regularizer, policy=None, n_sweeps=1, constant=1.0, start=0.0, rng=rng
        ),
        lambda: next(generative.online_mirror_descent(task, **settings)),
        lambda: next(generative.two_timescale(task, **two)),
        lambda: comparison_measure.compare(
            PLANTED,
            regularizer,
            "x",
            policy=np.full((3, 2), 0.5),
            grids={},
            n_agents=2,
            budget=100,
            pilot_budget=100,
            per_decade=1,
            target=0.1,
            n_pilots=1,
            n_replicates=1,
            seed=0,
        ),
    ):
        with pytest.raises(InputError, match=r"regularizer: .*expected the entropy"):
            refused()


def test_the_rate_of_mirror_descent_is_not_taken_from_the_entropys_for_a_class_derived_from_it():
    assert np.isnan(
        iterations.step_size("online_mirror_descent", PLANTED, Sharp(1.0), policy=PLANTED.planted.policy)[1]
    )


# --- weights and floors


@pytest.mark.parametrize("kind", [Entropy, Quadratic])
def test_a_weighted_regularizer_is_that_of_the_other_strength(kind):
    weighted, same = Weighted(kind(0.4), 1.2), kind(1.2)
    q, policy = random_rows()
    assert weighted.strength == same.strength
    assert weighted.rho == pytest.approx(same.rho, rel=1e-15)
    for name in ("value", "gradient", "curvature"):
        np.testing.assert_allclose(getattr(weighted, name)(policy), getattr(same, name)(policy), rtol=1e-14)
    assert weighted.span(3) == pytest.approx(same.span(3), rel=1e-14)
    assert weighted.gradient_span(3, 0.1) == pytest.approx(same.gradient_span(3, 0.1), rel=1e-12)
    np.testing.assert_allclose(weighted.optimum(q), same.optimum(q), rtol=1e-14)
    floor = float(same.value(np.full(3, 1 / 3))) - 0.1
    for limit in (None, floor):
        # a floor's multiplier is found to 1e-14 in its logarithm
        np.testing.assert_allclose(weighted.best_response(q, limit), same.best_response(q, limit), atol=1e-11)
        for mirror in ("euclidean", "kl"):
            steps = [h.proximal_step(q, policy, 0.7, floor=limit, mirror=mirror) for h in (weighted, same)]
            np.testing.assert_allclose(*steps, rtol=0, atol=1e-11)


def test_known_kinds_keep_their_class_with_another_strength():
    assert regularizers.with_strength(Entropy(1.0), 2.0) == Entropy(2.0)
    assert regularizers.with_strength(Quadratic(1.0), 2.0) == Quadratic(2.0)
    assert isinstance(regularizers.with_strength(Sharp(1.0), 2.0), Weighted)


@own
@pytest.mark.parametrize("step_size", [0.3, np.inf])
def test_a_floor_holds_for_a_class_that_knows_none(own, step_size):
    regularizer = own(0.4)
    q, policy = random_rows()
    floor = float(regularizer.value(np.full(3, 1 / 3))) - 0.05 * regularizer.rho
    u = regularizers.step(regularizer, q, policy, step_size=step_size, floor=floor)
    # h(u) is flat in the multiplier, which is known to 1e-14
    assert (regularizer.value(u) >= floor - 1e-9).all()
    free = regularizers.step(regularizer, q, policy, step_size=step_size)
    assert (regularizer.value(free) < floor - 1e-6).any(), "the floor binds nowhere"

    def objective(u):
        distance = 0.0 if step_size == np.inf else ((u - policy) ** 2).sum(axis=1) / (2.0 * step_size)
        return (u * q).sum(axis=1) + regularizer.value(u) - distance

    rng = np.random.default_rng(1)
    for share in (1e-3, 0.1, 1.0):
        other = (1.0 - share) * u + share * rng.dirichlet(np.ones(3), size=4)
        allowed = regularizer.value(other) >= floor
        assert (objective(other)[allowed] <= objective(u)[allowed] + 1e-9).all()


def test_a_mirror_map_that_the_class_does_not_know_is_refused():
    class Euclidean(Tsallis):
        def proximal_step(self, q, policy, step_size):
            return super().proximal_step(q, policy, step_size)

    q, policy = np.zeros((2, 3)), np.full((2, 3), 1 / 3)
    with pytest.raises(InputError, match=r"got 'kl', expected euclidean: .*raises AssertionError with mirror='kl"):
        operators.mirror_ascent_step(q, policy, 1.0, regularizer=Tsallis(1.0), mirror="kl")
    with pytest.raises(
        InputError, match=r"got 'kl', expected euclidean: Euclidean.proximal_step takes no other mirror"
    ):
        operators.mirror_ascent_step(q, policy, 1.0, regularizer=Euclidean(1.0), mirror="kl")


@pytest.mark.parametrize(
    ("fault", "raised", "words"),
    [
        (lambda q: q + np.ones(2) + "1", TypeError, "ufunc"),
        (lambda q: np.linalg.inv(q * 0.0), np.linalg.LinAlgError, "Singular"),
        (lambda q: {}["weights"], KeyError, "weights"),
    ],
)
def test_a_fault_in_the_code_of_a_proximal_step_is_not_taken_for_a_refused_mirror_map(fault, raised, words):
    class Faulty(Tsallis):
        def proximal_step(self, q, policy, step_size, *, floor=None, mirror="euclidean"):
            return fault(q)

    with pytest.raises(raised, match=words):
        operators.mirror_ascent_step(np.zeros((2, 2)), np.full((2, 2), 0.5), 1.0, regularizer=Faulty(1.0), mirror="kl")


def test_an_assertion_of_a_proximal_step_is_repeated_in_its_own_words():
    class Faulty(Tsallis):
        def proximal_step(self, q, policy, step_size, *, floor=None, mirror="euclidean"):
            raise AssertionError("q is negative")

    with pytest.raises(InputError, match="raises AssertionError: q is negative with mirror='kl'"):
        operators.mirror_ascent_step(np.zeros((2, 2)), np.full((2, 2), 0.5), 1.0, regularizer=Faulty(1.0), mirror="kl")


# --- solving, learning


@own
def test_any_regularizer_is_solved_and_followed_from_a_strong_one(own):
    game = family_game("crowd_averse", n_states=3, n_actions=2)
    regularizer = own(0.3)
    found = equilibrium.solve(game, regularizer)
    assert max(map(abs, found.residuals.values())) < 1e-9
    followed = continuation._continued(game, regularizer)
    assert followed is not None
    assert operators.policy_distance(followed, found.policy) < 1e-6


@pytest.mark.parametrize("regularizer", [Sharp(0.05), Tsallis(0.025)], ids=["sharp", "tsallis"])
def test_a_hard_game_is_solved_under_any_regularizer_by_following_it_from_a_stronger_one(regularizer, monkeypatch):
    game = games.make("beach_bar")
    monkeypatch.setattr(damped, "DAMPINGS", ())
    monkeypatch.setattr(search, "CONTINUATION", 0)  # before the first step size
    found = equilibrium.solve(game, regularizer, max_iterations=3)
    assert max(map(abs, found.residuals.values())) < 1e-10


def test_the_hard_game_is_not_solved_without_following_it(monkeypatch):
    """Or nothing would have been tested above."""
    monkeypatch.setattr(damped, "DAMPINGS", ())
    monkeypatch.setattr(search, "CONTINUATION", -1)  # no attempt has this number
    monkeypatch.setattr(flow, "FLOW_STEPS", 0)
    with pytest.raises(ConvergenceError):
        equilibrium.solve(games.make("beach_bar"), Sharp(0.05), max_iterations=20)


def test_the_entropy_in_disguise_is_followed_to_the_same_equilibrium():
    game = family_game("crowd_averse", n_states=3, n_actions=2)
    own, same = (continuation._continued(game, h) for h in (Sharp(0.1), Entropy(0.2)))
    assert operators.policy_distance(own, same) < 1e-8


@own
def test_centralized_and_independent_learning_take_any_regularizer(own):
    regularizer, schedule = own(1.0), Schedule(2, 40, 1, 0.5, 5.0, 5.0)
    floor = lipschitz.policy_floor(PLANTED, regularizer)
    policies = learning.centralized(
        PLANTED, 20, regularizer, schedule=schedule, rng=np.random.default_rng(0), floor=floor
    )
    np.testing.assert_allclose(policies.sum(axis=2), 1.0, atol=1e-12)
    assert operators.policy_distance(policies[-1], policies[0]) > 0.0
    assert (regularizer.value(policies) >= floor - 1e-9).all()
    found = learning.independent(PLANTED, 5, regularizer, schedule=schedule, rng=np.random.default_rng(0), floor=floor)
    assert (regularizer.value(found.policies()) >= floor - 1e-6).all()


def test_a_class_derived_from_the_entropy_does_not_learn_with_the_entropys_compiled_code():
    schedule = Schedule(2, 40, 1, 0.5, 5.0, 5.0)
    own, same, parent = (
        learning.independent(PLANTED, 5, h, schedule=schedule, rng=np.random.default_rng(0)).policies()
        for h in (Sharp(0.5), Entropy(1.0), Entropy(0.5))
    )
    # compiled and Python code agree up to the policies' resolution of 2^-31, and what that does to draws: here nothing
    np.testing.assert_allclose(own, same, atol=1e-8)
    assert np.abs(own - parent).max() > 1e-3


@own
def test_the_strength_of_a_damped_run_is_that_of_the_regularizer_asked_for(own):
    h = regularizers.with_strength(own(0.5), 2.0)
    q, _ = random_rows(actions=2)
    np.testing.assert_allclose(h.best_response(q), own(2.0).best_response(q), atol=1e-9)


# --- files


@pytest.mark.parametrize("name", ["Tsallis", "Barrier", "Faint"])
def test_an_equilibrium_under_a_class_from_a_file_is_saved_and_loaded(name, tmp_path):
    regularizer = regularizers.load(f"{FILE}:{name}", 0.5)
    found = equilibrium.solve(PLANTED, regularizer)
    equilibrium.save(found, regularizer, tmp_path / "equilibrium.npz")
    assert equilibrium.recorded_regularizer(tmp_path / "equilibrium.npz") == (f"{FILE}:{name}", 0.5)
    loaded, given = equilibrium.load(tmp_path / "equilibrium.npz", PLANTED, regularizer)
    assert given is regularizer
    np.testing.assert_array_equal(loaded.policy, found.policy)
    with pytest.raises(InputError, match=r"metadata: regularizer: got .* expected one of entropy, quadratic; one of"):
        equilibrium.load(tmp_path / "equilibrium.npz", PLANTED)
    with pytest.raises(InputError, match="residuals: got"):
        equilibrium.load(tmp_path / "equilibrium.npz", PLANTED, regularizers.load(f"{FILE}:{name}", 5.0))
    facts = literature_measure.table(PLANTED, regularizer, found, name="x", step_size=1.0, n_starts=0, seed=0)[0]
    assert facts["regularizer"].tolist() == [f"{FILE}:{name}"]


def test_names_of_own_classes_are_never_those_of_known_kinds():
    class entropy(Quadratic):
        pass

    assert regularizers.name_of(Entropy(1.0)) == "entropy"
    assert regularizers.name_of(Tsallis(1.0)) == "tests.own_regularizers.Tsallis"
    assert regularizers.name_of(entropy(1.0)).endswith("<locals>.entropy")


def test_commands_take_a_class_from_a_file_and_find_it_again_from_the_equilibrium(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("own.py").write_text(FILE.read_text() + "\nprint('run')\n")
    games.save(PLANTED, "game.npz")
    solve = ["solve", "game.npz", "--strength", "0.5", "--regularizer", "own.py:Tsallis", "--out", "equilibrium.npz"]
    assert main([*solve, "--json"]) == 0
    printed = capsys.readouterr()
    assert printed.out.lstrip().startswith("{")  # what the file prints goes to stderr
    assert "running own.py, which is Python code" in printed.err
    learn = ["learn", "game.npz", "equilibrium.npz", "--agents", "10", "--epsilon", "0.9", "--step-size", "0.3"]
    assert main([*learn, "--replicates", "1", "--td-constant", "3", "--json"]) == 0
    assert main(["validate", "game.npz", "--strength", "1", "--regularizer", "own.py:Tsallis"]) == 0
    Path("own.py").rename("moved.py")
    capsys.readouterr()
    moved = ["literature", "measure", "game.npz", "equilibrium.npz", "--step-size", "1", "--starts", "0"]
    assert cli.main(moved) == 2
    assert "own.py: file: got nothing, expected an existing Python file" in capsys.readouterr().err
    assert cli.main([*moved, "--regularizer", "moved.py:Tsallis"]) == 0


@pytest.mark.parametrize(
    ("described", "message"),
    [
        ("nowhere.py:Tsallis", "nowhere.py: file: got nothing, expected an existing Python file"),
        ("own.py:Missing", "own.py: Missing: got no such class, expected one of .*Tsallis"),
        (
            "own.py:Half",
            "own.py: Half: got a class without some members, expected all of .* also best_response, curvature, "
            "gradient, gradient_span, optimum, proximal_step, span$",
        ),
        ("own.py:np", "own.py: np: got no such class"),
        ("broken.py:X", "broken.py: file: got ZeroDivisionError: division by zero, expected code that runs"),
        ("own.py", "regularizer: got 'own.py', expected one of entropy, quadratic"),
        ("own.txt:X", "regularizer: got 'own.txt:X', expected FILE.py:NAME"),
        ("plain.py:X", r"plain.py: X\(1\): got TypeError"),
    ],
)
def test_a_class_that_will_not_do_is_refused_in_one_line(described, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("own.py").write_text(FILE.read_text())
    Path("broken.py").write_text("1 / 0\n")
    Path("plain.py").write_text("class X:\n    pass\n")
    with pytest.raises(InputError, match=message):
        regularizers.load(described, 1.0)


def test_a_file_is_run_as_it_is_now(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("own.py").write_text(FILE.read_text())
    assert regularizers.load("own.py:Tsallis", 1.0).rho == 3.0
    Path("own.py").write_text(FILE.read_text().replace("3.0 * self.strength", "2.0 * self.strength"))
    assert regularizers.load("own.py:Tsallis", 1.0).rho == 2.0


def test_policies_of_many_agents_are_renewed_slice_by_slice_to_the_bits_of_one_call():
    population = agents.initial_agents(PLANTED, 40, Entropy(0.3), rng=np.random.default_rng(0))
    population.q[:] = np.random.default_rng(1).normal(size=population.q.shape)
    whole, sliced = (agents.Agents.restored(population.arrays()) for _ in range(2))
    agents.finish_epoch(PLANTED, whole, Entropy(0.3), step_size=1.0, share=0.1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(agents, "SLICE", 7)
        agents.finish_epoch(PLANTED, sliced, Entropy(0.3), step_size=1.0, share=0.1)
    for name, array in whole.arrays().items():
        np.testing.assert_array_equal(array, getattr(sliced, name), err_msg=name)
