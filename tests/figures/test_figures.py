"""Regression of the figures in two layers: the numbers that are drawn, and the pictures.

The numbers survive an upgrade of matplotlib, and see every digit of every number. The pictures are compared under the
pinned version only; they see what is wrong with a drawing of right numbers. What each layer catches is in
test_planted_changes.py.

A picture that differs is kept with its baseline and their difference, in the folder that the failure names. After an
intended change, `make figure-baselines` renews the references of both layers; look at the new pictures before they are
committed.
"""

import inspect
import os
import subprocess
import sys
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex

from pma_mfg import plotting, statistics
from pma_mfg.checks import RATE_WINDOW

DATA = Path(__file__).with_name("data")
BASELINE = Path(__file__).with_name("baseline")

#: Of the numbers: a figure's data are a function of its tables (resampling has its own seeds), so that only the
#: rounding of exp, log and least squares may differ between machines, some 1e-14 relative. No absolute part: distances
#: reach 1e-11.
ROUNDING = {"rtol": 1e-9, "atol": 0.0}
#: Of the pictures, root mean square over pixels in 0..255: the pinned matplotlib draws the same bytes on one machine,
#: and rounding on another one changes single levels of single pixels, far below 0.1. Other matplotlib versions differ
#: by about 15. One curve moved by 2 % differs by 0.4 to 1.9 (most of the page is white): the usual 2 would miss it.
PIXELS = 0.2
DOTS_PER_INCH = 100

FIGURES = sorted(plotting.FIGURES)


@pytest.fixture
def few_resamples(monkeypatch):
    monkeypatch.setattr(statistics, "RESAMPLES", 10)


@pytest.mark.parametrize("figure", FIGURES)
@pytest.mark.mpl_image_compare(tolerance=PIXELS, style=str(plotting.STYLE), savefig_kwargs={"dpi": DOTS_PER_INCH})
def test_picture(figure, drawn_table):
    return plotting.FIGURES[figure][2](drawn_table(figure))


@pytest.mark.parametrize("figure", FIGURES)
def test_numbers(figure, raw_tables, dataframe_regression):
    data = plotting.FIGURES[figure][1](*raw_tables(figure))
    reference = DATA / f"{figure}_reference.csv"
    dataframe_regression.check(data, fullpath=reference, default_tolerance=ROUNDING)
    # the comparison visits the columns it is given: one that has gone would go unnoticed
    assert list(pd.read_csv(reference, index_col=0).columns) == list(data.columns)


def test_pictures_are_compared(request):
    assert request.config.getoption("mpl"), "without --mpl pytest draws the pictures and compares nothing"
    assert sorted(path.name for path in BASELINE.iterdir()) == [f"test_picture_{name}.png" for name in FIGURES]


def test_registry_names_every_figure():
    functions = inspect.getmembers(plotting, inspect.isfunction)
    public = {name: f for name, f in functions if f.__module__ == plotting.__name__ and not name.startswith("_")}
    figures = {name for name, f in public.items() if inspect.signature(f).return_annotation == "Figure"}
    assert figures == set(plotting.FIGURES)
    for name, (tables, data, draw) in plotting.FIGURES.items():
        assert (data, draw) == (public[f"{name}_data"], public[name])
        assert tuple(inspect.signature(data).parameters) == tables


@pytest.mark.parametrize("figure", FIGURES)
def test_saving_gives_the_same_bytes_whatever_the_global_settings_and_leaves_those_alone(figure, drawn_table, tmp_path):
    draw = plotting.FIGURES[figure][2]
    with matplotlib.rc_context({"font.size": 31.0, "lines.linewidth": 7.0}):
        before = dict(matplotlib.rcParams)
        first = draw(drawn_table(figure))
        plotting.save(first, tmp_path / "once")
        assert dict(matplotlib.rcParams) == before
    assert 31.0 not in {text.get_fontsize() for text in first.findobj(matplotlib.text.Text)}
    plotting.save(draw(drawn_table(figure)), tmp_path / "anew")
    for suffix in ("png", "svg"):
        assert (tmp_path / f"once.{suffix}").read_bytes() == (tmp_path / f"anew.{suffix}").read_bytes()
    assert len(list(tmp_path.iterdir())) == 4  # and no temporary files


def test_saving_again_and_in_another_process_gives_the_same_bytes(tmp_path):
    drawing = plotting.samples(pd.read_csv(DATA / "samples_drawn.csv"))
    for name in ("once", "again"):
        plotting.save(drawing, tmp_path / name)
    program = (
        "import sys, pandas; from pma_mfg import plotting\n"
        "plotting.save(plotting.samples(pandas.read_csv(sys.argv[1])), sys.argv[2])"
    )
    other_hashes = "1" if os.environ.get("PYTHONHASHSEED") != "1" else "2"
    command = [sys.executable, "-c", program, str(DATA / "samples_drawn.csv"), str(tmp_path / "elsewhere")]
    subprocess.run(command, check=True, env={**os.environ, "PYTHONHASHSEED": other_hashes, "MPLBACKEND": "svg"})
    for suffix in ("png", "svg"):
        once, again, elsewhere = (
            (tmp_path / f"{name}.{suffix}").read_bytes() for name in ("once", "again", "elsewhere")
        )
        assert once == again == elsewhere


def covers_nothing(drawing):
    drawing.draw_without_rendering()
    panels = [ax.get_window_extent() for ax in drawing.axes]
    legends = [ax.get_legend() for ax in drawing.axes if ax.get_legend()] + drawing.legends
    extents = [legend.get_window_extent() for legend in legends]
    for i, extent in enumerate(extents):
        assert not any(extent.overlaps(other) for other in panels + extents[:i])
    for ax in drawing.axes:
        for label in (ax.xaxis.label, ax.yaxis.label):
            assert not any(label.get_window_extent().overlaps(extent) for extent in extents)
    whole = drawing.get_tightbbox()  # in inches; a hundredth for the rounding of letters to pixels
    assert min(whole.x0, whole.y0) >= -0.01
    assert whole.x1 <= drawing.get_figwidth() + 0.01 <= 7.01
    assert whole.y1 <= drawing.get_figheight() + 0.01
    shown = [text for text in drawing.findobj(matplotlib.text.Text) if text.get_text()]
    assert min(text.get_fontsize() for text in shown) >= 8.0


@pytest.mark.parametrize("figure", FIGURES)
def test_legends_and_labels_cover_nothing(figure, drawn_table):
    covers_nothing(plotting.FIGURES[figure][2](drawn_table(figure)))


@pytest.mark.parametrize("figure", FIGURES)
def test_one_game_with_one_parameter_is_drawn(figure, raw_tables, few_resamples):
    def only_one(table):
        table = table[table["game"] == "smooth"]
        for column in ("step_size", "epsilon", "n_agents", "n_updates"):
            if column in table:
                table = table[table[column] == table[column].iloc[0]]
        return table

    data = plotting.FIGURES[figure][1](*map(only_one, raw_tables(figure)))
    covers_nothing(plotting.FIGURES[figure][2](data))


@pytest.mark.parametrize("figure", FIGURES)
def test_eight_games_are_drawn(figure, raw_tables, few_resamples):
    def copies(table):
        return pd.concat([table[table["game"] == "smooth"].assign(game=f"game_{i}") for i in range(8)])

    data = plotting.FIGURES[figure][1](*map(copies, raw_tables(figure)))
    plotting.FIGURES[figure][2](data).draw_without_rendering()


def test_prediction_has_the_jacobians_rate_through_a_measured_iterate(raw_tables):
    iterates, rates = raw_tables("contraction")
    data = plotting.contraction_data(iterates, rates)
    lines = data[data["series"] == "predicted"].groupby(["step_size", "start"])  # of one game: the other has a kink
    assert len(lines) == 2
    for (eta, start), line in lines:
        (k0, k1), (y0, y1) = line["iteration"], line["distance"]
        rate = (y1 / y0) ** (1.0 / (k1 - k0))
        smooth = rates[(rates["game"] == "smooth") & (rates["step_size"] == eta)]
        assert rate == pytest.approx(smooth["spectral_radius"].iloc[0])
        run = iterates[(iterates["game"] == "smooth") & (iterates["step_size"] == eta) & (iterates["start"] == start)]
        gap = np.abs(np.log(run["distance"] / (y0 * rate ** run["iteration"])))
        assert gap.min() < 1e-12
        assert RATE_WINDOW[0] <= run.loc[gap.idxmin(), "distance"] <= RATE_WINDOW[1]


def test_kink_at_the_equilibrium_has_no_prediction(raw_tables):
    data = plotting.contraction_data(*raw_tables("contraction"))
    assert set(data.loc[data["series"] == "predicted", "game"]) == {"smooth"}
    titles = [ax.get_legend().get_title().get_text() for ax in plotting.contraction(data).axes]
    assert ["no prediction" in title for title in titles] == [True, False]  # kinked, smooth


def test_cycling_step_size_is_shown_without_prediction(raw_tables):
    iterates, rates = raw_tables("contraction")
    cycle = pd.DataFrame({"iteration": range(2000), "distance": 0.3, "game": "smooth", "step_size": 50.0, "start": 0})
    row = rates[rates["game"] == "smooth"].iloc[:1]
    row = row.assign(step_size=50.0, converged=False, iterations=1999, spectral_radius=1.7)
    data = plotting.contraction_data(pd.concat([iterates, cycle]), pd.concat([rates, row]))
    shown = data[(data["step_size"] == 50.0)]
    assert set(shown["series"]) == {"measured"}
    assert shown["iteration"].max() == rates.loc[rates["game"] == "smooth", "iterations"].max()
    only = plotting.contraction_data(cycle, row)
    assert only["iteration"].max() == 1999


def test_game_has_one_colour_in_all_figures(drawn_table):
    def colours(figure, label):
        drawing = plotting.FIGURES[figure][2](drawn_table(figure))
        lines = [line for ax in drawing.axes for line in ax.get_lines() if line.get_label().startswith(label)]
        return {to_hex(line.get_color()) for line in lines}

    assert colours("samples", "centralized") == colours("populations", "smooth")
    assert len(colours("populations", "smooth") | colours("populations", "kinked")) == 2
