"""The tests of the figures' tests: planted changes that each layer must catch, and that the other may miss.

===================================== ======= ========
change                                numbers pictures
===================================== ======= ========
one curve moved by 2 %                caught  caught
one point moved by half               caught  caught
one point moved by 2 %                caught  chance (markers snap to pixels)
one point moved by 1e-6               caught  missed
slope of a line of theory             caught  caught
interval of a point lost              caught  caught
colours of two games exchanged        missed  caught
an axis label changed                 missed  caught
the title of a panel changed          missed  caught
a legend says 90 % instead of 95 %    missed  caught
===================================== ======= ========
"""

import functools
import shutil
import subprocess
import sys

import matplotlib.style
import numpy as np
import pandas as pd
import pytest
from matplotlib.testing import compare
from matplotlib.testing.exceptions import ImageComparisonFailure
from test_figures import BASELINE, DATA, DOTS_PER_INCH, FIGURES, PIXELS, ROUNDING

from pma_replication import registry, style
from pma_replication.experiments.contraction import draw as contraction_draw
from pma_replication.experiments.populations import draw as populations_draw
from pma_replication.experiments.samples import draw as samples_draw

VALUE = dict.fromkeys(FIGURES, "value") | {"contraction": "distance", "dynamics": "distance"}
VALUE |= {"phase": "spectral_radius", "comparison": "exploitability", "one_trajectory": "exploitability"}


@pytest.fixture(scope="module")
def data_of():
    """What a figure's data function makes of the fixed tables: `test_numbers` holds it to its reference, read here."""

    @functools.cache
    def read(figure):
        data = pd.read_csv(DATA / f"{figure}_reference.csv", index_col=0)
        return data.assign(game=data["game"].fillna(""))  # a line of no game

    return read


@pytest.fixture
def same_picture(tmp_path, monkeypatch):
    """Whether a figure looks like its baseline, by the comparison that the picture tests use."""
    monkeypatch.setattr(compare, "save_diff_image", lambda *paths: None)  # nobody looks at it

    def same(figure, drawing):
        path = tmp_path / f"{figure}.png"
        with matplotlib.style.context(style.STYLE, after_reset=True):
            drawing.savefig(path, dpi=DOTS_PER_INCH)
        baseline = shutil.copy(BASELINE / f"test_picture_{figure}.png", tmp_path / "baseline.png")
        try:
            return compare.compare_images(baseline, str(path), tol=PIXELS) is None
        except ImageComparisonFailure:  # of another size
            return False

    return same


@pytest.fixture
def same_numbers(dataframe_regression, tmp_path, request):
    """Whether data equal their reference, by the comparison that the tests of the numbers use."""
    if request.config.getoption("force_regen"):
        pytest.skip("references are being renewed: nothing is compared")

    def same(figure, data):
        reference = shutil.copy(DATA / f"{figure}_reference.csv", tmp_path)  # a failure must not touch the real one
        try:
            dataframe_regression.check(data, fullpath=reference, default_tolerance=ROUNDING)
        except AssertionError as error:
            if "Values are not sufficiently close" not in str(error):
                raise
            return False
        return True

    return same


def moved_point(figure, data, factor):
    """Move one measured point (for an equilibrium, one probability)."""
    rows = measured(figure, data)
    data = data.copy()
    data.loc[rows[len(rows) // 2], VALUE[figure]] *= factor
    return data


def measured(figure, data):
    """Return the rows that a figure draws as measured: of the phase diagram those with a radius beside a contour."""
    if figure == "phase":
        return np.flatnonzero(data["spectral_radius"].between(0.35, 0.55))
    if figure in ("comparison", "one_trajectory"):
        return np.flatnonzero(data["method"] == "pma")
    if figure == "literature":
        return np.flatnonzero(data["value"] > 0.05)
    if figure == "bounds":
        return np.flatnonzero(np.isfinite(data["value"]))
    if figure == "samples":
        return np.flatnonzero(data["series"].str.startswith("measured"))
    if figure == "networked":
        return np.flatnonzero((data["series"] == "independent") & (data["x"] > 0.0))
    if figure == "paths":
        return np.flatnonzero(data["series"] == "path")
    return np.flatnonzero(data["series"].isin(["measured", "policy"]))


def moved_curve(figure, data, factor):
    """Move one measured curve (for an equilibrium, the policy of one game)."""
    several = ("panel", "epsilon", "step_size", "states", "method")  # curves of one series
    parts = several if figure not in ("bounds", "samples") else ("panel",)
    groups = ["game" if figure != "coupling" else "line", *(c for c in ("series", *parts) if c in data)]
    rows = data if figure == "phase" else data.loc[measured(figure, data)]
    rows = rows.groupby(groups, dropna=False).groups
    data = data.copy()
    data.loc[rows[max(rows, key=lambda curve: (len(rows[curve]), str(curve)))], VALUE[figure]] *= factor
    return data


@pytest.mark.parametrize("figure", FIGURES)
def test_unchanged_figure_passes_the_numbers(figure, data_of, same_numbers):
    assert same_numbers(figure, data_of(figure))  # and the pictures, even with a point moved by a millionth: below


@pytest.mark.parametrize("figure", FIGURES)
@pytest.mark.parametrize(("move", "factor"), [(moved_curve, 1.02), (moved_point, 1.5)])
def test_moved_curve_or_point_is_caught_by_both_layers(
    figure, move, factor, data_of, drawn_table, same_numbers, same_picture
):
    draw = registry.draw(figure).figure
    assert not same_numbers(figure, move(figure, data_of(figure), factor))
    assert not same_picture(figure, draw(move(figure, drawn_table(figure), factor)))


@pytest.mark.parametrize("figure", FIGURES)
def test_point_moved_by_two_percent_is_caught_by_the_numbers(figure, data_of, same_numbers):
    assert not same_numbers(figure, moved_point(figure, data_of(figure), 1.02))


@pytest.mark.parametrize("figure", FIGURES)
def test_point_moved_by_a_millionth_is_caught_by_the_numbers_only(
    figure, data_of, drawn_table, same_numbers, same_picture
):
    draw = registry.draw(figure).figure
    assert not same_numbers(figure, moved_point(figure, data_of(figure), 1.0 + 1e-6))
    assert same_picture(figure, draw(moved_point(figure, drawn_table(figure), 1.0 + 1e-6)))


def test_changed_slope_of_theory_is_caught_by_both_layers(data_of, drawn_table, same_numbers, same_picture):
    def steeper(data):
        line = data[(data["panel"] == "cost") & (data["series"] == "theory")]
        data = data.copy()
        data.loc[line.index, "value"] *= (line["x"] / np.sqrt(line["x"].prod())) ** 0.2  # 2 becomes 2.2
        return data

    assert not same_numbers("samples", steeper(data_of("samples")))
    assert not same_picture("samples", samples_draw.figure(steeper(drawn_table("samples"))))


def test_changed_rate_in_the_tables_is_caught_by_the_numbers(raw_tables, same_numbers):
    iterates, rates = raw_tables("contraction")
    rates["spectral_radius"] *= 1.001
    assert not same_numbers("contraction", contraction_draw.data(iterates, rates))


def test_lost_interval_is_caught_by_both_layers(data_of, drawn_table, same_numbers, same_picture):
    def bare(data):
        measured = data["series"] == "measured"
        return data.assign(
            low=data["low"].where(~measured, data["value"]), high=data["high"].where(~measured, data["value"])
        )

    assert not same_numbers("populations", bare(data_of("populations")))
    assert not same_picture("populations", populations_draw.figure(bare(drawn_table("populations"))))


def test_exchanged_colours_are_caught_by_the_pictures_only(
    monkeypatch, data_of, drawn_table, same_numbers, same_picture
):
    monkeypatch.setattr(style, "COLOURS", style.COLOURS[:5] + style.COLOURS[:4:-1])
    assert same_numbers("populations", data_of("populations"))
    assert not same_picture("populations", populations_draw.figure(drawn_table("populations")))


@pytest.mark.parametrize("figure", FIGURES)
def test_changed_axis_label_is_caught_by_the_pictures(figure, drawing, same_picture):
    label = drawing(figure).axes[0].yaxis.label
    shown = label.get_text()
    text = shown.replace(r"\mu_k", r"\nu_k").replace(r"\pi", r"\mu").replace(r"\mu^*", r"\mu")
    text = (
        text.replace("exploit", "explor")
        .replace("share", "part")
        .replace("samples", "updates")
        .replace("dynamics", "statics")
    )
    label.set_text(text.replace(r"\tau", r"\rho").replace("$N$", "$M$").replace("$Q$", "$V$"))
    try:
        assert not same_picture(figure, drawing(figure))
    finally:
        label.set_text(shown)  # all tests share the drawing


def test_changed_title_of_a_panel_is_caught_by_the_pictures(drawing, same_picture):
    title = drawing("networked").axes[0].title  # there, titles of columns name what is measured
    shown = title.get_text()
    title.set_text(shown.replace("earn", "lose"))
    try:
        assert title.get_text() != shown
        assert not same_picture("networked", drawing("networked"))
    finally:
        title.set_text(shown)  # all tests share the drawing


def test_changed_legend_is_caught_by_the_pictures(monkeypatch, drawn_table, same_picture):
    for figure, module in (("samples", samples_draw), ("populations", populations_draw)):
        monkeypatch.setattr(module, "FITTED", style.FITTED.replace("95", "90"))
        assert not same_picture(figure, registry.draw(figure).figure(drawn_table(figure)))


def test_pytest_itself_fails_on_a_planted_change(pytestconfig, tmp_path):
    """Run pytest with this project's settings on a true and a false picture, and on a true and a false table."""
    program = f"""
import pandas as pd, pytest
from pma_replication import style
from pma_replication.experiments.equilibria import draw

compare = pytest.mark.mpl_image_compare(
    tolerance={PIXELS}, style=str(style.STYLE), savefig_kwargs={{"dpi": {DOTS_PER_INCH}}},
    filename="test_picture_equilibria.png",
)
drawn = pd.read_csv({str(DATA / "equilibria_drawn.csv")!r})
reference = pd.read_csv({str(tmp_path / "equilibria_reference.csv")!r}, index_col=0)

@compare
def test_true_picture():
    return draw.figure(drawn)

@compare
def test_false_picture():
    return draw.figure(drawn.assign(value=drawn["value"] * 1.02))

def test_true_numbers(dataframe_regression):
    dataframe_regression.check(reference, fullpath={str(tmp_path / "equilibria_reference.csv")!r})

def test_false_numbers(dataframe_regression):
    false = reference.assign(value=reference["value"] * 1.02)
    dataframe_regression.check(false, fullpath={str(tmp_path / "equilibria_reference.csv")!r})
"""
    shutil.copy(DATA / "equilibria_reference.csv", tmp_path)
    (tmp_path / "test_inner.py").write_text(program)
    command = [sys.executable, "-m", "pytest", "-c", str(pytestconfig.inipath), "--rootdir", str(pytestconfig.rootpath)]
    command += ["-p", "no:cacheprovider", "--basetemp", str(tmp_path / "inner"), str(tmp_path / "test_inner.py")]
    run = subprocess.run(command, cwd=pytestconfig.rootpath, capture_output=True, text=True, check=False)
    assert "2 failed, 2 passed" in run.stdout, run.stdout + run.stderr
    assert "FAILED" in run.stdout
    for name in ("test_false_picture", "test_false_numbers"):
        assert any(line.startswith("FAILED") and name in line for line in run.stdout.splitlines())
