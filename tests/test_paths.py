"""The path of equilibria: against the solver, brute force, folds known in advance and planted violations."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import scipy
from tests.own_regularizers import Tsallis
from tests.references import census_game

import pma_mfg
from pma_mfg import equilibrium, games, operators, paths, regularizers, solvers
from pma_mfg.cli import main
from pma_mfg.errors import InputError
from pma_mfg.games import Features, MeanFieldGame
from pma_mfg.paths import branching
from pma_mfg.paths import system as system_module
from pma_mfg.paths.following import Follower, Node, held
from pma_mfg.paths.system import LEADING, Linearization, System
from pma_mfg.plotting.paths import plot_path
from pma_mfg.regularizers import Entropy

REFERENCE = games.make("rock_paper_scissors")


def two_way_game(rewards: np.ndarray, pull: np.ndarray) -> MeanFieldGame:
    """Return a game of two states without discount: all actions but the last lead to 0; `pull` times mu(0) - mu(1)."""
    actions = len(rewards)
    transition = np.zeros((2, actions, 2))
    transition[:, :-1, 0] = transition[:, -1, 1] = 1.0
    return MeanFieldGame(
        discount=0.0,
        base_transition=transition,
        base_reward=np.tile(rewards, (2, 1)),
        transition_terms=np.zeros((0, 2, actions, 2)),
        transition_features=Features.none(2),
        reward_terms=np.tile(pull, (1, 2, 1)),
        reward_features=Features.build(np.array([[1.0, -1.0]])),
    )


def folded_game(fold: float, copies: int) -> MeanFieldGame:
    """Return a coordination game whose path from a strong entropy has a fold at the strength `fold`.

    `copies` actions lead to state 0 and one to state 1. With x = mu(0) - mu(1) an equilibrium is 2 tau artanh x =
    tau log(copies) - b + x, so folds are where 1 - x^2 = 2 tau; b puts one of them at `fold`, on the side of x > 0.
    """
    x = np.sqrt(1.0 - 2.0 * fold)
    b = fold * np.log(copies) + x - 2.0 * fold * np.arctanh(x)
    signs = np.append(np.ones(copies), -1.0)
    return two_way_game(-0.5 * b * signs, 0.5 * signs)


def test_folds_are_found_where_they_are_planted_and_the_path_passes_them() -> None:
    path = pma_mfg.equilibrium_path(folded_game(0.32, 16), Entropy(1.0), strengths=(2.0, 1e-3))
    x = np.sqrt(1.0 - 0.64)
    b = 0.32 * np.log(16.0) + x - 0.64 * np.arctanh(x)

    def other(tau: float) -> float:  # the fold with x < 0
        return float(
            tau * np.log(16.0) - b - np.sqrt(1.0 - 2.0 * tau) + 2.0 * tau * np.arctanh(np.sqrt(1.0 - 2.0 * tau))
        )

    second = scipy.optimize.brentq(other, 0.35, 0.499, xtol=1e-15)
    # a fold is a maximum of the strength: an error e along the path changes it by e^2 only
    np.testing.assert_allclose([fold.strength for fold in path.folds], [0.32, second], rtol=1e-12)
    assert path.complete
    assert [len(path.at(strength)) for strength in (1.0, 0.38, 0.33, 0.31)] == [1, 3, 3, 1]
    unstable = [point.unstable for point in path.at(0.36)]
    assert sorted(unstable) == [0, 0, 1]  # the one between the folds is the one that no step size makes stable


def test_a_fold_is_no_branch_point_though_an_eigenvalue_is_1_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """Planted: every crossing counts for three, so that folds too are searched for several eigenvalues."""
    original = Linearization.stability
    monkeypatch.setattr(Linearization, "stability", lambda self: (3 * original(self)[0], original(self)[1]))
    path = pma_mfg.equilibrium_path(folded_game(0.32, 16), Entropy(1.0), strengths=(2.0, 1e-1))
    assert len(path.folds) == 2
    assert {point.unstable for point in path.points} == {0, 3}
    assert not path.branch_points


def test_a_change_of_sign_is_a_branch_point_also_where_telling_several_apart_fails(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    original = Linearization.stability
    monkeypatch.setattr(Linearization, "stability", lambda self: (3 * original(self)[0], original(self)[1]))
    game = two_way_game(np.zeros(2), 0.5 * np.array([1.0, -1.0]))
    searched = []
    for search in (Follower._separated, lambda *places: []):
        monkeypatch.setattr(Follower, "_separated", lambda *at, search=search: searched.append(at) or search(*at))
        path = pma_mfg.equilibrium_path(game, Entropy(1.0), strengths=(2.0, 0.2))
        np.testing.assert_allclose([point.strength for point in path.branch_points], [0.5], rtol=1e-6)
    assert searched


def test_other_equilibria_at_a_strength_are_those_of_the_symmetric_coordination_game() -> None:
    """Two states, reward x / 2 for the crowd: a pitchfork at tau = 1/2, x = tanh(x / (2 tau)) on its branches."""
    game = two_way_game(np.zeros(2), 0.5 * np.array([1.0, -1.0]))
    path = pma_mfg.equilibrium_path(game, Entropy(1.0), strengths=(2.0, 1e-2), branches=True)
    # the determinant changes by its square root's accuracy at worst: it is found to the smallest step
    np.testing.assert_allclose([point.strength for point in path.branch_points], [0.5], rtol=1e-6)
    assert len(path.branches) == 2
    x = scipy.optimize.brentq(lambda x: np.tanh(x / 0.6) - x, 0.1, 1.0, xtol=1e-15)
    shares = sorted(point.mean_field[0] for point in path.at(0.3))
    np.testing.assert_allclose(shares, [0.5 - 0.5 * x, 0.5, 0.5 + 0.5 * x], atol=1e-12)


def test_all_branches_leave_a_point_where_two_eigenvalues_cross_at_once() -> None:
    """In a square of four cells the kernel has two dimensions, in which the square's symmetries act as on the plane.

    Such a bifurcation has branches along both axes and both diagonals, in both directions: eight halves, in two classes
    of four that the symmetries turn into each other.
    """
    game = games.make("cluster", rows=2, columns=2)
    path = pma_mfg.equilibrium_path(game, Entropy(1.0), strengths=(4.0, 2.4), branches=True)
    assert len(path.branch_points) == 1
    assert len(path.branches) == 8
    largest = np.sort([np.sort(branch.last.mean_field) for branch in path.branches], axis=0)
    np.testing.assert_allclose(largest[:4], largest[[0]] * np.ones((4, 1)), atol=1e-9)
    np.testing.assert_allclose(largest[4:], largest[[-1]] * np.ones((4, 1)), atol=1e-9)
    assert len({int(branch.last.mean_field.argmax()) for branch in path.branches}) == 4
    assert path.ended == "reached the strength 2.4"


def test_the_branches_found_do_not_depend_on_the_axes_of_the_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where eigenvalues are equal the axes are a matter of rounding; these are such that few random directions fail.

    The first is turned by 73 degrees from the direction in which the mass of the first cell grows. Random directions
    that end after 16 in a row without a new branch find seven of the eight halves with these axes.
    """

    class Turned(branching.Kernel):
        def __init__(self, follower: Follower, crossing: Node) -> None:
            super().__init__(follower, crossing)
            first, second = self.basis[0] / np.linalg.norm(self.basis[0]), self.basis[1]
            second = second - (second @ first) * first
            angle = np.radians(73.0)
            by = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
            turn = np.stack([first, second / np.linalg.norm(second)], axis=1) @ by
            self.basis, self.rows = self.basis @ turn, turn.T @ self.rows
            self.bordered[-2:, : len(self.basis)] = self.rows

    game = games.make("cluster", rows=2, columns=2)
    path = pma_mfg.equilibrium_path(game, Entropy(1.0), strengths=(4.0, 2.4))
    monkeypatch.setattr(branching, "Kernel", Turned)
    (crossing,) = path.crossings()
    assert path._follower is not None
    assert len(branching.departures(path._follower, crossing)) == 8


def test_a_path_on_which_more_branches_are_left_than_are_followed_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(paths.path, "BRANCHES", 0)
    assert main(["path", "cluster", "--branches", "--strengths", "4", "2.4"]) == 0
    last = capsys.readouterr().out.splitlines()[-1]
    assert "reached the strength 2.4; 0 branches were followed, and branch points are left; next to its end" in last


@pytest.mark.parametrize(("seed", "kind", "folds"), [(7, "entropy", 0), (17, "entropy", 0), (19, "quadratic", 2)])
def test_paths_come_to_their_end_through_parts_separating_groups_and_folds_at_kinks(
    seed: int, kind: str, folds: int
) -> None:
    path = pma_mfg.equilibrium_path(census_game(seed)[0], regularizers.make(kind, 1.0))
    assert path.complete, path.ended
    assert len(path.folds) == folds
    assert max(point.residual for point in path.points) <= 1e-12


def test_a_path_that_ends_where_equilibria_are_a_surface_says_so() -> None:
    path = pma_mfg.equilibrium_path(census_game(15)[0], regularizers.make("quadratic", 1.0))
    assert not path.complete
    assert "recurrent classes" in path.ended
    assert path.ended.endswith("so that the masses which they had are stationary no more")


@pytest.mark.parametrize(("name", "kind"), [("beach_bar", "entropy"), ("rock_paper_scissors", "quadratic")])
def test_the_path_passes_through_what_the_solver_finds(name: str, kind: str) -> None:
    game = games.make(name)
    path = pma_mfg.equilibrium_path(game, regularizers.make(kind, 1.0), strengths=(20.0, 0.02))
    assert path.complete
    assert not path.folds
    for strength in (5.0, 0.02):
        regularizer = regularizers.make(kind, strength)
        (point,) = path.at(strength)
        solved = equilibrium.solve(game, regularizer)
        # both are known to the rounding error of q over the strength, and what the response makes of it
        tolerance = 1e-10 * (1.0 + point.spectral_radius)
        np.testing.assert_allclose(point.policy, solved.policy, atol=tolerance)
        np.testing.assert_allclose(point.mean_field, solved.mean_field, atol=tolerance)


@pytest.mark.parametrize("kind", ["entropy", "quadratic"])
def test_every_point_is_an_equilibrium_to_1e_12_down_to_a_millionth_of_the_rewards(kind: str) -> None:
    for name in ("contraction_game", "sis_epidemic"):
        game = games.make(name)
        path = pma_mfg.equilibrium_path(game, regularizers.make(kind, 1.0))
        assert path.complete, path.ended
        low, high = 4.0 if name == "contraction_game" else 11.0, path.last.strength
        np.testing.assert_allclose(high, 1e-6 * low, rtol=1e-12)
        assert max(point.residual for point in path.points) <= 1e-12
        for point in path.points[::6]:
            update = operators.population_update(game, point.mean_field, point.policy)
            assert np.abs(update - point.mean_field).sum() <= 1e-12
            step = 1.0 / low
            moved = operators.mirror_ascent_step(
                operators.q_values(game, point.policy, point.mean_field, regularizer=point.regularizer),
                point.policy,
                step,
                regularizer=point.regularizer,
            )
            assert operators.policy_distance(moved, point.policy) <= 1e-12
            # what the regularizer costs, exactly, is at most its span over 1 - gamma
            bound = point.regularizer.span(game.n_actions) / (1.0 - game.discount)
            assert -1e-12 <= point.exploitability() <= bound


def brute_force(game: MeanFieldGame, strength: float) -> list[np.ndarray]:
    """Return all equilibria of a game with two states under the entropy, by the sign of Gamma_pop(mu, pi_mu) - mu.

    On a grid of mean fields, each with its own value iteration; roots by bisection.
    """
    base, terms = game.base_transition, game.transition_terms

    def gap(first: np.ndarray) -> np.ndarray:
        mean_field = np.stack([first, 1.0 - first], axis=-1)
        reward = np.array([game.reward(row) for row in mean_field])
        transition = base if len(terms) == 0 else np.array([game.transition(row) for row in mean_field])
        value = np.zeros_like(mean_field)
        for _ in range(int(np.ceil(np.log(1e-14) / np.log(game.discount)))):
            q = reward + game.discount * np.einsum("...say,ny->nsa", transition, value)
            value = strength * scipy.special.logsumexp(q / strength, axis=2)
        policy = scipy.special.softmax(q / strength, axis=2)
        return np.einsum("ns,nsa,sa->n", mean_field, policy, base[:, :, 0]) - first

    grid = np.linspace(0.0, 1.0, 801)
    signs = np.sign(gap(grid))
    places = np.flatnonzero(signs[1:] * signs[:-1] <= 0.0)
    low, high = grid[places], grid[places + 1]
    rising = signs[places] > 0.0
    for _ in range(45):
        middle = 0.5 * (low + high)
        positive = (gap(middle) > 0.0) == rising
        low, high = np.where(positive, middle, low), np.where(positive, high, middle)
    return list(np.stack([low, 1.0 - low], axis=-1))


def small_game(seed: int) -> MeanFieldGame:
    """Return a random game with S = A = 2 in which agents like, or flee, the crowd."""
    rng = np.random.default_rng(seed)
    base = rng.dirichlet([0.3, 0.3], size=(2, 2))
    return MeanFieldGame(
        discount=0.5,
        base_transition=base,
        base_reward=rng.uniform(-1.0, 1.0, size=(2, 2)),
        transition_terms=np.zeros((0, 2, 2, 2)),
        transition_features=Features.none(2),
        reward_terms=rng.uniform(-2.0, 4.0) * (base[None, :, :, 0] - base[None, :, :, 1]),
        reward_features=Features.build(np.array([[1.0, -1.0]])),
    )


def test_in_games_with_two_states_and_actions_no_equilibrium_is_missed() -> None:
    several = 0
    for seed in (0, 5, 6, 12, 13, 19):
        game = small_game(seed)
        expected = sorted(row[0] for row in brute_force(game, 0.2))
        found = sorted(
            point.mean_field[0]
            for point in paths.all_equilibria(game, Entropy(0.2), n_starts=4, strengths=(20.0, 0.05))
        )
        assert len(found) == len(expected), seed
        np.testing.assert_allclose(found, expected, atol=1e-9)  # bisection of 45 halvings, value iteration to 1e-14
        several += len(expected) > 1
    assert several >= 3


def test_the_sign_of_the_determinant_and_the_spectrum_are_those_of_the_jacobian_of_best_response() -> None:
    """det(I - J_inf) from section 7 against the one of the path, and the eigenvalues but for zeros."""
    from pma_mfg import jacobian

    game = games.make("planted_smooth", n_states=4, n_actions=3, discount=0.9, seed=0, strength=0.1)
    solved = equilibrium.solve(game, Entropy(0.1))
    system = System(game, Entropy(0.1), solved.mean_field)
    node = Follower(system, 1.0).node(system.at(solved.mean_field, float(np.log(0.1))), (np.zeros(4), -1.0))
    matrix = jacobian.jacobian(game, solved.policy, np.inf, regularizer=Entropy(0.1))
    ours = held(node).linear.best_response_spectrum()
    theirs = np.linalg.eigvals(matrix)
    largest = np.sort_complex(theirs[np.argsort(-np.abs(theirs))[:3]])
    np.testing.assert_allclose(np.sort_complex(ours[np.argsort(-np.abs(ours))[:3]]), largest, atol=1e-9)


@pytest.mark.parametrize(("attraction", "several"), [(40.0, True), (-40.0, False), (1.0, False)])
def test_eigenvalues_of_large_games_are_those_of_all(
    attraction: float, several: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Arnoldi's method for the radius and for what lies right of 1, against all eigenvalues, at some mean field."""
    game = games.make("coordination", n_states=70, discount=0.9, attraction=attraction)
    mean_field = np.random.default_rng(0).dirichlet(np.full(70, 2.0))
    system = System(game, Entropy(0.5), mean_field)
    linear = Linearization(system, system.at(mean_field, float(np.log(0.5))))
    unstable, radius = linear.stability()
    assert (unstable > 0) == several
    monkeypatch.setattr(solvers, "DIRECT_SIZE", 60)
    found = linear.stability()
    monkeypatch.setattr(system_module, "SURELY", 0.0)
    assert linear.stability() == found  # also where a radius below 1 says that none lies there
    assert found[0] == min(unstable, LEADING)
    assert found[1] == pytest.approx(radius, rel=1e-6)  # the tolerance of the method


def test_a_wrong_derivative_of_the_strength_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Planted: without what the strength does to the values the tangent points elsewhere, which differences show."""
    game = games.make("beach_bar")

    def error() -> float:
        path = pma_mfg.equilibrium_path(game, Entropy(1.0), strengths=(3.0, 2.9))
        system = System(game, Entropy(3.0), path.points[0].mean_field)
        node = Follower(system, 1.0).node(
            system.at(path.points[0].mean_field, float(np.log(3.0))), (np.zeros(game.n_states), -1.0)
        )
        slope = node.tangent[0] / node.tangent[1]
        near = [
            pma_mfg.equilibrium_path(game, Entropy(1.0), strengths=(3.1, t)).last.mean_field for t in (2.997, 3.003)
        ]
        measured = (near[1] - near[0]) / np.log(3.003 / 2.997)
        return float(np.abs(slope - measured).max() / np.abs(measured).max())

    assert error() < 1e-5  # differences of second order in 1e-3
    original = regularizers.Entropy.value
    monkeypatch.setattr(regularizers.Entropy, "value", lambda self, u: 0.0 * original(self, u))
    assert error() > 1e-3


def test_the_end_of_the_path_is_polished_to_an_equilibrium_without_a_regularizer() -> None:
    for name, mixed in (("sis_epidemic", 1), ("rock_paper_scissors", 3), ("beach_bar", None)):
        game = games.make(name)
        path = pma_mfg.equilibrium_path(game, Entropy(1.0))
        found = paths.polish(game, path.last.policy, mean_field=path.last.mean_field)
        assert found.residual <= 1e-10
        assert abs(equilibrium.exploitability(game, found.policy, mean_field=found.mean_field)) <= 1e-10
        assert path.last.exploitability() >= -1e-12
        assert mixed in (None, found.mixed)


def test_own_regularizers_have_a_path_and_those_without_a_strength_are_refused_by_name() -> None:
    path = pma_mfg.equilibrium_path(REFERENCE, Tsallis(1.0), strengths=(2.0, 0.05))
    assert path.complete
    solved = equilibrium.solve(REFERENCE, regularizers.with_strength(Tsallis(1.0), 0.05))
    np.testing.assert_allclose(path.last.policy, solved.policy, atol=1e-9)

    class Strengthless(Entropy):
        strength = None  # type: ignore[assignment]

        def __init__(self) -> None:
            pass

    with pytest.raises(InputError, match=r"equilibrium_path: regularizer: got a Strengthless with the strength None"):
        pma_mfg.equilibrium_path(REFERENCE, Strengthless())


@pytest.mark.parametrize("strengths", [(0.1, 1.0), (1.0, 0.0), (1.0, -1.0), (1.0,), (np.inf, 1.0), (1.0, 1.0)])
def test_strengths_that_make_no_path_are_refused(strengths: tuple[float, ...]) -> None:
    with pytest.raises(InputError, match=r"strengths: got \(.*\), expected \(high, low\) with high > low > 0"):
        pma_mfg.equilibrium_path(REFERENCE, Entropy(1.0), strengths=strengths)


def test_rewards_that_are_all_the_same_are_refused() -> None:
    with pytest.raises(InputError, match="rewards: got the reward 0 in every state"):
        pma_mfg.equilibrium_path(REFERENCE.without_rewards(), Entropy(1.0))


def test_a_path_that_is_lost_keeps_its_last_point_and_says_where(monkeypatch: pytest.MonkeyPatch) -> None:
    original = Follower.advanced

    def lost(self: Follower, node, step):  # type: ignore[no-untyped-def]
        found = original(self, node, step)
        return None if found is None or found.log_strength < np.log(0.5) else found

    monkeypatch.setattr(Follower, "advanced", lost)
    path = pma_mfg.equilibrium_path(REFERENCE, Entropy(1.0), strengths=(2.0, 0.1))
    assert not path.complete
    assert path.ended.startswith("no point was found beyond the strength 0.5")
    assert path.last.strength == pytest.approx(0.5, rel=1e-6)
    assert path.last.residual <= 1e-12
    for told in ([], ["--json"]):
        assert main(["path", "rock_paper_scissors", "--strengths", "2", "0.1", *told]) == 1


def test_importing_the_package_and_its_path_loads_no_compiler() -> None:
    code = "import sys, pma_mfg; pma_mfg.equilibrium_path; print('numba' in sys.modules)"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "False"


def test_the_command_follows_the_path_writes_it_and_ends_with_what_came_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, picture = tmp_path / "path.npz", tmp_path / "path.png"
    line = ["path", "rock_paper_scissors", "--strengths", "2", "0.001", "--out", str(out), "--plot", str(picture)]
    assert main(line) == 0
    last = capsys.readouterr().out.splitlines()[-1]
    assert "largest residual" in last
    assert "reached the strength 0.001; next to its end an equilibrium without a regularizer, exploitability" in last
    assert picture.stat().st_size > 0
    with np.load(out) as arrays:
        assert arrays["strength"][-1] == pytest.approx(1e-3, rel=1e-12)
        assert arrays["policy"].shape[1:] == (3, 3)
    assert main(["path", "rock_paper_scissors", "--strengths", "0.1", "1"]) == 2
    assert "got (0.1, 1.0), expected (high, low) with high > low > 0" in capsys.readouterr().err


@pytest.mark.parametrize("strength", ["1e-400", "1e-51", "-1e-400", "nan", "sNaN"])
def test_a_strength_is_not_0_because_it_is_too_small_for_a_float(
    strength: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["solve", "sis_epidemic", f"--strength={strength}"])
    assert stopped.value.code == 2
    assert f"--strength: got '{strength}', expected 0, or a number from 1e-50 to 1e50" in capsys.readouterr().err


def test_solve_at_strength_0_gives_an_equilibrium_without_a_regularizer(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["solve", "sis_epidemic", "--strength", "0", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    game = games.make("sis_epidemic")
    policy, mean_field = np.array(found["policy"]), np.array(found["mean_field"])
    assert paths.limit.unregularized_residual(game, policy, mean_field) <= 1e-10
    # nobody knows it in closed form: a best response against its own population gains nothing
    assert abs(equilibrium.exploitability(game, policy, mean_field=mean_field)) <= 1e-10
    assert found["mixed_states"] == 1


def test_the_panels_of_a_short_range_of_strengths_have_the_same_labels_which_do_not_overlap() -> None:
    drawn = plot_path(paths.equilibrium_path(REFERENCE, Entropy(1.0), strengths=(0.5, 0.1)))
    labels = [[label.get_text() for label in ax.get_xticklabels()] for ax in drawn.axes]
    assert labels[0] == labels[1] == labels[2]
    assert "0.2" in labels[0]
    assert not any(label.get_text() for label in drawn.axes[0].get_xticklabels(minor=True))
