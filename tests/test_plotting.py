"""Pictures of the library: what their lines are, and that every layout is drawn."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from matplotlib.collections import PatchCollection, QuadMesh
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from pma_mfg import cli, equilibrium, games, iterations, operators, plotting
from pma_mfg.audit import audit
from pma_mfg.equilibrium import Equilibrium
from pma_mfg.games import MeanFieldGame
from pma_mfg.plotting import layouts, pictures
from pma_mfg.regularizers import Entropy

ENTROPY = Entropy(0.1)


@pytest.fixture(scope="module")
def planted() -> tuple[MeanFieldGame, Equilibrium]:
    game = games.make("planted_smooth", n_states=3, n_actions=2, discount=0.6, seed=3, strength=0.1)
    return game, equilibrium.solve(game, ENTROPY)


def test_lines_are_the_populations_path_from_the_start_and_pmas_with_the_predicted_rate(
    planted: tuple[MeanFieldGame, Equilibrium],
) -> None:
    game, found = planted
    start = [0.5, 0.25, 0.25]  # as it comes
    _, middle, right = plotting.plot(game, found, ENTROPY, start=start).axes[:3]
    by_label = {str(line.get_label()): np.asarray(line.get_ydata(), dtype=float) for line in middle.get_lines()}
    path = by_label["from the start given"]
    mean_field = np.array(start)
    for drawn in path[:4]:
        # sums of distances, to rounding
        assert drawn == pytest.approx(np.abs(mean_field - found.mean_field).sum(), rel=1e-9)
        mean_field = operators.population_update(game, mean_field, found.policy)
    step_size, rate = iterations.step_size("pma_euclidean", game, ENTROPY, policy=found.policy)
    assert f"predicted rate {rate:.3g}" in {line.get_label() for line in right.get_lines()}
    axes = Figure().subplots()
    for values, drawn in ((0.5 ** np.arange(9.0), True), (np.array([1.0, 0.3, 0.2, 0.3, 0.2, 0.3, 0.2, 0.3]), False)):
        pictures._reference(axes, values, 0.5, len(values))  # of a cycle there is no rate
        assert (len(axes.get_lines()) == 1) == drawn
        axes.cla()
    pma = np.asarray(right.get_lines()[0].get_ydata(), dtype=float)
    policy = operators.uniform_policy(game)
    for drawn in pma[:4]:
        assert drawn == pytest.approx(operators.policy_distance(policy, found.policy), rel=1e-6)
        policy = operators.policy_mirror_ascent(game, policy, step_size, regularizer=ENTROPY)


def test_a_grid_a_map_and_bars_are_drawn_by_the_layout() -> None:
    for family, kind in (("cluster", QuadMesh), ("beach_bar", PatchCollection), ("sis_epidemic", Rectangle)):
        game = games.make(family)
        policy = operators.uniform_policy(game)
        ax = Figure().subplots()
        layouts.draw(ax, pictures.drawn(game, policy, operators.stable_population(game, policy)))
        assert any(isinstance(each, kind) for each in (*ax.collections, *ax.patches))


def test_an_audit_draws_the_populations_of_a_grid_on_the_grid() -> None:
    game = games.make("crowd_modelling_2d", size=3)
    assert game.layout is not None
    found = audit(game, operators.uniform_policy(game), ENTROPY, n_agents=[2, 3])
    panel = pictures.plot_audit(game, found).axes[3]
    assert [small.get_title("left").partition(":")[0] for small in panel.child_axes] == ["$N = 2$", "$N = 3$"]
    for small, gain in zip(panel.child_axes, found.gains, strict=True):
        (cells,) = small.collections
        corners = [path.vertices[0] + 0.5 for path in cells.get_paths()]
        np.testing.assert_allclose(corners, game.layout)
        np.testing.assert_array_equal(cells.get_array(), gain.mean_field)


def test_a_spread_that_is_not_known_is_not_drawn_as_zero() -> None:
    for name in ("crowd_modelling_2d", "beach_bar"):
        game = games.make(name, size=3) if name == "crowd_modelling_2d" else games.make(name)
        found = audit(game, operators.uniform_policy(game), ENTROPY, n_agents=[2])
        lost = [replace(gain, deviations=np.full(game.n_states, np.nan)) for gain in found.gains]
        for told, unknown in ((found, False), (replace(found, gains=lost), True)):
            panel = pictures.plot_audit(game, told).axes[3]
            words = [small.get_title("left") for small in panel.child_axes]
            words += panel.get_legend_handles_labels()[1]
            assert any("unknown" in text for text in words) == unknown, words


def test_states_that_are_left_for_good_are_hatched_wherever_they_are_drawn() -> None:
    places = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    for where in (places, places * 1.5, None):
        cells = layouts.Drawn(
            places=where,
            labels=list("abcd"),
            shares=np.array([0.5, 0.5, 0.0, 0.0]),
            actions=["up", "several", "left", "x"],
            probabilities=np.full(4, 0.6),
            transient=np.array([False, False, True, True]),
        )
        ax = Figure().subplots()
        layouts.draw(ax, cells)
        assert sum(patch.get_hatch() == "////" for patch in ax.patches) == 2


def test_labels_that_the_font_lacks_are_numbers() -> None:
    game = games.make("contraction_game")
    named = games.from_functions(
        game.transition, game.reward, game.discount, state_labels=("空", "a$b"), action_labels=("stay", "go")
    )
    cells = pictures.drawn(named, np.full((2, 2), 0.5), np.full(2, 0.5))
    assert list(cells.labels) == ["0", r"a\$b"]


def test_a_picture_is_the_same_bytes_again(planted: tuple[MeanFieldGame, Equilibrium]) -> None:
    picture = plotting.plot(*planted, ENTROPY)
    assert plotting.png(picture) == plotting.png(picture)


def test_the_command_draws_a_game_and_says_what_its_equilibrium_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "game.png"
    assert cli.main(["plot", "contraction_game", "--strength", "1", "--start", "second", "--out", str(out)]) == 0
    assert re.fullmatch(
        r".*game.png: equilibrium with 50 % of the agents in state (first|second), exploitability \(regularized\) \S+",
        capsys.readouterr().out.strip(),
    )
    assert out.exists()
    assert out.with_suffix(".svg").exists()
    for options, told in (
        (["--start", "secnd"], "--start: got 'secnd', expected a state: first, second; did you mean second?"),
        (["--out", "game.pdf"], "--out: got 'game.pdf', expected a file called something.png"),
    ):
        assert cli.main(["plot", "contraction_game", "--strength", "1", "--out", str(out), *options]) == 2
        assert told in capsys.readouterr().err


def test_what_is_no_mean_field_to_start_from_is_refused(planted: tuple[MeanFieldGame, Equilibrium]) -> None:
    with pytest.raises(ValueError, match=r"pictures.plot: start: got the sum 1.5, off by 0.5"):
        plotting.plot(*planted, ENTROPY, start=[0.5, 0.5, 0.5])
