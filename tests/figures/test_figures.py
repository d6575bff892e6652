"""Regression of the figures in two layers: the numbers that are drawn, and the pictures.

The numbers survive an upgrade of matplotlib, and see every digit of every number. The pictures are compared under the
pinned version only; they see what is wrong with a drawing of right numbers. What each layer catches is in
test_planted_changes.py.

A picture that differs is kept with its baseline and their difference, in the folder that the failure names. After an
intended change, `make figure-baselines` renews the references of both layers; look at the new pictures before they are
committed.
"""

import inspect
import itertools
import os
import string
import subprocess
import sys
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex
from matplotlib.textpath import TextPath

from pma_mfg.plotting import look
from pma_replication import cli as replicate
from pma_replication import configuration, registry, statistics, style
from pma_replication.experiments.comparison import draw as comparison_draw
from pma_replication.experiments.contraction import draw as contraction_draw
from pma_replication.experiments.contraction.measure import RATE_WINDOW
from pma_replication.experiments.equilibria import draw as equilibria_draw
from pma_replication.experiments.literature import draw as literature_draw
from pma_replication.experiments.nash import draw as nash_draw
from pma_replication.experiments.networked import draw as networked_draw
from pma_replication.experiments.phase import draw as phase_draw
from pma_replication.experiments.samples import draw as samples_draw
from pma_replication.runs import level
from pma_replication.runs import tables as parquet

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

FIGURES = sorted(registry.figures())


#: Figures with a table that they are drawn without where a configuration does not make it.
SPARE = [(figure, table) for figure in FIGURES for table in registry.figures()[figure] if table in registry.spare()]


@pytest.fixture
def few_resamples(monkeypatch):
    monkeypatch.setattr(statistics, "RESAMPLES", 10)


@pytest.mark.parametrize("figure", FIGURES)
@pytest.mark.mpl_image_compare(tolerance=PIXELS, style=str(style.STYLE), savefig_kwargs={"dpi": DOTS_PER_INCH})
def test_picture(figure, drawing):
    return drawing(figure)


@pytest.mark.parametrize("figure", FIGURES)
def test_numbers(figure, raw_tables, dataframe_regression):
    data = registry.draw(figure).data(*raw_tables(figure))
    reference = DATA / f"{figure}_reference.csv"
    dataframe_regression.check(data, fullpath=reference, default_tolerance=ROUNDING)
    # the comparison visits the columns it is given: one that has gone would go unnoticed
    assert list(pd.read_csv(reference, index_col=0).columns) == list(data.columns)


def test_pictures_are_compared(request):
    assert request.config.getoption("mpl"), "without --mpl pytest draws the pictures and compares nothing"
    assert sorted(path.name for path in BASELINE.iterdir()) == [f"test_picture_{name}.png" for name in FIGURES]


@pytest.mark.parametrize("figure", FIGURES)
def test_a_figure_is_drawn_from_the_tables_that_are_named_for_it(figure):
    assert tuple(inspect.signature(registry.draw(figure).data).parameters) == registry.figures()[figure]
    assert set(registry.figures()[figure]) <= registry.tables().keys()


@pytest.mark.parametrize("figure", FIGURES)
def test_saving_gives_the_same_bytes_whatever_the_global_settings_and_leaves_those_alone(
    figure, drawn_table, drawing, tmp_path, monkeypatch
):
    if figure != FIGURES[0]:  # all that is drawn is in the SVG: of one figure the pixels are compared, too
        monkeypatch.delitem(look.FORMATS, ".png")
    with matplotlib.rc_context({"font.size": 31.0, "lines.linewidth": 7.0}):
        before = dict(matplotlib.rcParams)
        first = registry.draw(figure).figure(drawn_table(figure))
        style.save(first, tmp_path / "once")
        assert dict(matplotlib.rcParams) == before
    assert 31.0 not in {text.get_fontsize() for text in first.findobj(matplotlib.text.Text)}
    style.save(drawing(figure), tmp_path / "anew")
    for suffix in look.FORMATS:
        assert (tmp_path / f"once{suffix}").read_bytes() == (tmp_path / f"anew{suffix}").read_bytes()
    assert len(list(tmp_path.iterdir())) == 2 * len(look.FORMATS)  # and no temporary files


def test_saving_again_and_in_another_process_gives_the_same_bytes(tmp_path):
    drawing = samples_draw.figure(pd.read_csv(DATA / "samples_drawn.csv"))
    for name in ("once", "again"):
        style.save(drawing, tmp_path / name)
    program = (
        "import sys, pandas; from pma_replication import style; from pma_replication.experiments.samples import draw\n"
        "style.save(draw.figure(pandas.read_csv(sys.argv[1])), sys.argv[2])"
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
        for k, axis in enumerate((ax.xaxis, ax.yaxis)):
            low, high = sorted(axis.get_view_interval())  # outside of it no label is drawn
            shown = [label for label in axis.get_ticklabels(which="both") if low <= label.get_position()[k] <= high]
            # numbers: names may be turned, and their boxes overlap where letters do not
            ticks = [label for label in shown if label.get_text() and not label.get_rotation()]
            boxes = [label.get_window_extent() for label in ticks if label.get_visible()]
            assert not any(one.overlaps(other) for one, other in itertools.combinations(boxes, 2))
        for label in (ax.xaxis.label, ax.yaxis.label):
            assert not any(label.get_window_extent().overlaps(extent) for extent in extents)
    whole = drawing.get_tightbbox()  # in inches; a hundredth for the rounding of letters to pixels
    assert min(whole.x0, whole.y0) >= -0.01
    assert whole.x1 <= drawing.get_figwidth() + 0.01 <= 7.01
    assert whole.y1 <= drawing.get_figheight() + 0.01
    shown = [text for text in drawing.findobj(matplotlib.text.Text) if text.get_text()]
    assert min(text.get_fontsize() for text in shown) >= 8.0


@pytest.mark.parametrize("figure", FIGURES)
def test_legends_and_labels_cover_nothing(figure, drawing):
    covers_nothing(drawing(figure))


def test_gains_of_few_populations_over_many_decades_have_labels_that_cover_nothing():
    exact = [
        {"game": "own", "variant": variant, "sees": sees, "n_agents": n, "gap": gap / n, "predicted": np.nan}
        for variant in ("regularized", "indifferent")
        for sees, gap in (("counts", 0.1), ("state", 1e-5))
        for n in (5, 7, 10)
    ]
    learned = pd.DataFrame(columns=["game", "n_updates", "gap", "equilibrium_gap"])
    covers_nothing(nash_draw.figure(nash_draw.data(pd.DataFrame(exact), learned)))


def legend_texts(drawing):
    legends = [*drawing.legends, *(ax.get_legend() for ax in drawing.axes if ax.get_legend())]
    return {text.get_text() for legend in legends for text in legend.get_texts()}


def test_no_legend_and_no_panel_is_of_what_a_game_of_ones_own_does_not_have(raw_tables, drawn_table):
    def drawn(figure, data):
        return registry.draw(figure).figure(data.reset_index(drop=True))

    tables = {name: drawn_table(name) for name in ("ctd", "paths", "bounds", "regularization")}
    alone = {name: table[table["game"] == table["game"].iloc[0]] for name, table in tables.items()}
    left = {
        "ctd": (alone["ctd"][~alone["ctd"]["series"].isin(["predicted", "continued"])], "predicted"),
        "paths": (alone["paths"].query("branch == 0").assign(unstable=False), "no step size is stable"),
        "bounds": (
            alone["bounds"].assign(x=np.geomspace(20.0, 2000.0, len(alone["bounds"])), value=1e4),
            "below: PMA is certified",
        ),
        "regularization": (alone["regularization"].query("panel != 'annealing'"), "as many"),
    }
    for name, (data, label) in left.items():
        assert label in legend_texts(drawn(name, tables[name])), name
        drawing = drawn(name, data)
        assert label not in legend_texts(drawing), name
        covers_nothing(drawing)
        assert all(ax.has_data() for ax in drawing.axes)
    headings = [
        " ".join(text.get_text() for text in drawn("ctd", data).texts) for data in (tables["ctd"], left["ctd"][0])
    ]
    assert ["lines predicted" in heading for heading in headings] == [True, False]
    literature = drawn_table("literature")
    bars = literature[(literature["equilibrium"] == 0) & (literature["game"] == literature["game"].iloc[0])]
    bars = bars.assign(column=np.nan, row=np.nan, transient=False)
    told = {len(data): drawn("literature", data).get_supxlabel() for data in (literature, bars)}
    for word in ("Arrows", "Hatched", "Red"):
        assert word in told[len(literature)]
        assert word not in told[len(bars)]
    assert "Above bars" in told[len(bars)]


def test_a_game_of_ones_own_is_not_one_of_the_literature_and_no_legend_names_a_region_that_is_not_there(raw_tables):
    raw = raw_tables("phase")[0]
    phase = phase_draw.data(raw[raw["game"] == "smooth"].assign(paper_bound=np.inf))
    (legend, *_) = phase_draw.figure(phase).legends
    assert "certified by section 5.1 too" not in [text.get_text() for text in legend.get_texts()]
    tables = [table[table["game"] == table["game"].iloc[0]] for table in raw_tables("literature")]
    title = literature_draw.figure(literature_draw.data(*tables)).get_suptitle()
    assert title == "Equilibrium population"


@pytest.mark.parametrize("figure", FIGURES)
def test_one_game_with_one_parameter_is_drawn(figure, raw_tables, few_resamples):
    def only_one(table):
        table = table[table["game"] == "smooth"]
        for column in ("step_size", "epsilon", "n_agents", "n_updates"):
            if column in table:
                table = table[table[column] == table[column].iloc[0]]
        return table

    data = registry.draw(figure).data(*map(only_one, raw_tables(figure)))
    drawing = registry.draw(figure).figure(data)
    covers_nothing(drawing)
    lines = drawing.get_suptitle().split("\n")
    assert len(lines) <= 2
    assert len(lines) == 1 or min(map(len, lines)) > 0.6 * max(map(len, lines))  # no word stands alone


def test_text_has_as_few_lines_as_fit_and_those_even():
    text = "Exploitability (regularized) in units of the range of rewards; line: median run, band: all runs"
    for inches in (1.0, 2.0, 3.9, 8.0):
        lines = style.wrapped(text, inches, 10.0).split("\n")
        assert " ".join(lines) == text
        assert max(style.text_width(line, 10.0) for line in lines) <= inches
        greedy, rest = 1, ""  # words go into a line while they fit: no other way needs fewer lines
        for word in text.split():
            rest = f"{rest} {word}".strip()
            if style.text_width(rest, 10.0) > inches:
                greedy, rest = greedy + 1, word
        assert len(lines) == greedy


def test_a_text_is_as_wide_as_its_outlines():
    style_of_text = matplotlib.font_manager.FontProperties(family="STIXGeneral", size=9.0)
    texts = [
        *string.printable.strip(),
        *"αβγεηθμνπρσταΓΔ×−–…äñçßŁž",
        r"$\mathbf{c}$   of f",
        r"$\|\pi - \pi^*\|_1 \leq 10^{-3}$",
    ]
    for text in texts:
        extents = TextPath((0.0, 0.0), text, prop=style_of_text).get_extents()
        assert look.text_width(text, 9.0) == pytest.approx(extents.x1 / 72.0, abs=1e-12), text


def test_names_of_states_are_shown_where_one_panel_has_room_for_them(raw_tables):
    tables = [table[table["game"] == table["game"].iloc[0]] for table in raw_tables("literature")]
    data = literature_draw.data(*tables).query("equilibrium == 0").assign(column=np.nan, row=np.nan)
    names = [f"clinic {state}" for state in data["state"]]
    (ax,) = literature_draw.figure(data.assign(label=names)).axes
    assert [label.get_text() for label in ax.get_xticklabels()] == names


@pytest.mark.parametrize(("figure", "table"), SPARE)
def test_a_figure_is_drawn_without_a_table_that_a_configuration_does_not_make(figure, table, raw_tables, few_resamples):
    needed = registry.figures()[figure]
    assert figure in registry.drawn(set(needed) - {table})
    given = zip(needed, raw_tables(figure), strict=True)
    data = registry.draw(figure).data(*(registry.empty(name) if name == table else raw for name, raw in given))
    registry.draw(figure).figure(data).draw_without_rendering()


def test_a_table_of_another_configuration_in_the_same_folder_is_not_drawn(raw_tables, tmp_path, monkeypatch):
    names = registry.figures()["nash"]
    both = [str(tmp_path / f"tables/{name}.parquet") for name in names]
    for path, table in zip(both, raw_tables("nash"), strict=True):
        parquet.write_table(path, table)
    seen = {}
    monkeypatch.setattr(style, "save", lambda drawing, path: seen.update({Path(path).name: len(drawing.axes)}))
    # as the pipeline draws, which names the tables that the configuration makes; both, a folder, and too few
    for name, tables in {"a": both[:1], "b": both, "c": [str(tmp_path / "tables")], "d": both[1:]}.items():
        code = replicate.main(["figure", "nash", "--tables", *tables, "--out", str(tmp_path / name)])
        assert code == (2 if name == "d" else 0)
    assert seen == {"a": 2, "b": 3, "c": 3}
    # as a finished run is drawn again
    settings = {"results": str(tmp_path), "figures": str(tmp_path)}
    monkeypatch.setattr(configuration, "finished", lambda path: settings)
    monkeypatch.setattr(configuration, "tables", lambda settings: ["nash"])
    monkeypatch.setattr(level, "environment", dict)
    assert replicate.main(["figures", "any.yaml"]) == 0
    assert seen["nash"] == 2


@pytest.mark.parametrize(
    "text", ["a name that is as long as it may be", "AVAToyj, ffi -- W", "a $\\alpha + \\beta$ or $x"]
)
@pytest.mark.parametrize("inches", [0.02, 0.3, 0.9])
def test_a_text_is_cut_where_one_more_letter_would_not_fit(text, inches):
    cut = look.shortened(text, inches)
    fitting = [n for n in range(1, len(text) + 1) if look.text_width(text[:n].rstrip() + "…", 9.0) <= inches]
    assert cut == (text[: fitting[-1]].rstrip() + "…" if fitting else "")


@pytest.mark.parametrize("n_games", [7, 8, 24])
def test_no_two_games_share_a_marker_or_a_line_in_one_colour(n_games):
    colours, markers, styles = style.game_looks(f"game_{i}" for i in range(n_games))
    assert len({(colours[game], markers[game]) for game in colours}) == n_games
    assert len({(colours[game], str(styles[game])) for game in colours}) == n_games
    if n_games <= len(style.COLOURS):
        assert len(set(colours.values())) == n_games


#: Figures with several games in one panel.
SHARED = ["atlas", "bounds", "independent", "nash", "populations"]


@pytest.mark.parametrize("figure", SHARED)
def test_twenty_four_games_have_looks_of_their_own(figure, drawn_table):
    one = drawn_table(figure)
    game = one.loc[one["game"] != "", "game"].iloc[0]
    games = [f"game_{chr(ord('a') + i)}" for i in range(24)]
    data = pd.concat([one[one["game"] == ""], *(one[one["game"] == game].assign(game=name) for name in games)])
    drawing = registry.draw(figure).figure(data.reset_index(drop=True))
    for ax in drawing.axes:
        # of each game the same lines are drawn, in the same order: what one has and another has not is its look
        looks = [(to_hex(line.get_color()), line.get_marker(), str(line._dash_pattern)) for line in ax.get_lines()]
        of_games = [look for look in looks if look[0] in style.COLOURS]
        if figure == "independent" and not ax.get_title().endswith("and steps"):
            continue  # colours are numbers of agents and step sizes, markers the median, worst and mean agent
        if figure == "atlas" and ax in drawing.axes[:2]:
            continue  # colours are bounds
        marked = [look[:2] for look in of_games if look[1] != "None"]
        assert len(set(marked)) == 24
        lines = [(look[0], look[2]) for look in of_games if look[1] == "None"]
        assert len(set(lines)) in (0, 24)
    if figure == "bounds":
        handles = drawing.legends[0].legend_handles[:24]
        assert len({(to_hex(h.get_color()), h.get_marker(), str(h._dash_pattern)) for h in handles}) == 24
        names = [text.get_text() for text in drawing.legends[0].get_texts()[:24]]
        assert names == [name.replace("_", " ") for name in games]


@pytest.mark.parametrize("figure", ["nash", "populations"])
def test_a_legend_shows_markers_that_the_data_have(figure, drawing):
    drawn = {line.get_marker() for ax in drawing(figure).axes for line in ax.get_lines()} - {"None"}
    (legend,) = drawing(figure).legends
    shown = {line.get_marker() for line in legend.findobj(matplotlib.lines.Line2D)} - {"None", ""}
    assert shown
    assert shown <= drawn


def overlaps(extents):
    """Pairs of boxes that share more than a pixel."""
    return [
        (i, j)
        for i, one in enumerate(extents)
        for j, other in enumerate(extents[:i])
        if min(one.x1, other.x1) - max(one.x0, other.x0) > 1.0 and min(one.y1, other.y1) - max(one.y0, other.y0) > 1.0
    ]


@pytest.mark.parametrize("figure", FIGURES)
def test_long_names_of_eight_games_run_into_nothing(figure, raw_tables, drawn_table, few_resamples):
    names = [f"game_{i}_{'with_a_name_as_long_as_it_may_be' * 2}"[:64] for i in range(8)]

    def copies(table):
        return pd.concat([table[table["game"] == "smooth"].assign(game=name) for name in names])

    data = registry.draw(figure).data(*map(copies, raw_tables(figure)))
    if figure == "coupling":  # which draws the games of lines, and a game of none without its name
        data = drawn_table(figure)
        data = data.assign(game=data["game"].replace(dict(zip(data["game"].unique(), names, strict=False))))
    drawing = registry.draw(figure).figure(data)
    covers_nothing(drawing)
    titles = [ax.title for ax in drawing.axes if ax.title.get_text()] + [ax._left_title for ax in drawing.axes]
    titles = [title for title in titles if title.get_text()]
    extents = [title.get_window_extent() for title in titles]
    assert overlaps(extents) == []
    legends = [ax.get_legend() for ax in drawing.axes if ax.get_legend()] + drawing.legends
    assert overlaps([legend.get_window_extent() for legend in legends]) == []
    if drawing._suptitle is not None:
        assert not any(drawing._suptitle.get_window_extent().overlaps(extent) for extent in extents)
    text = " ".join(text.get_text() for text in drawing.findobj(matplotlib.text.Text))
    whole = all(name.replace("_", " ") in text for name in names)  # one wide panel has room for it
    assert whole or "…" in text or figure in ("independent", "scaling")  # which name no game


def equilibria_with(states, actions, drawn_table, n_states=5):
    """Equilibria of a game without a layout, with these labels."""
    data = (
        drawn_table("literature").query("game == 'smooth' and equilibrium == 0").head(n_states).reset_index(drop=True)
    )
    labels = [states[i % len(states)] for i in range(len(data))]
    words = [actions[i % len(actions)] for i in range(len(data))]
    numbers = [i % len(actions) for i in range(len(data))]
    data = data.assign(label=labels, action=words, action_number=numbers, column=np.nan, row=np.nan)
    return pd.concat([data.assign(game=name) for name in ("one", "two", "three")], ignore_index=True)


@pytest.mark.parametrize(
    ("states", "actions", "shown"),
    [
        (["空", "満", "a", "b", "c"], ["待つ"], {"state 0", "state 1", "a", "action 0"}),
        (["مزدحم", "a", "b", "c", "d"], ["stay"], {"state 0", "a"}),
        (["שלום", "a", "b", "c", "d"], ["stay"], {"state 0", "a"}),
        (["à", "ž", "я", "λ", "5 $ 6 $"], ["stay"], {"à", "ž", "я", "λ"}),
    ],
    ids=["Japanese", "Arabic", "Hebrew", "letters that the font has"],
)
def test_labels_that_cannot_be_drawn_are_numbers_and_one_line_says_so(states, actions, shown, drawn_table, caplog):
    data = equilibria_with(states, actions, drawn_table)
    drawing = literature_draw.figure(data[data["game"] == "one"])
    drawing.draw_without_rendering()  # a glyph that is missing would be a warning, which is an error here
    texts = {text.get_text() for text in drawing.findobj(matplotlib.text.Text)}
    assert shown <= texts
    lost = [kind for kind, labels in (("state", states), ("action", actions)) if not all(map(look.is_drawable, labels))]
    lines = [record.getMessage() for record in caplog.records if "cannot draw" in record.getMessage()]
    assert len(lines) == len(lost)
    for kind, line in zip(lost, lines, strict=True):
        assert f"drawn as {kind} 0" in line


@pytest.mark.parametrize(
    ("states", "actions"),
    [
        (["a state with a long name", "b", "another long one", "c", "d"], ["an action with quite a long name"]),
        (["highway", "bridge", "back road", "city", "ring"], ["highway", "bridge", "back road"]),
        (["w" * 40], ["W" * 40]),
    ],
)
def test_long_labels_run_into_nothing(states, actions, drawn_table):
    drawing = literature_draw.figure(equilibria_with(states, actions, drawn_table))
    covers_nothing(drawing)
    assert overlaps([ax.title.get_window_extent() for ax in drawing.axes if ax.title.get_text()]) == []
    for ax in drawing.axes:
        words = [text.get_window_extent() for text in ax.texts]
        assert overlaps(words) == []
        panel, title = ax.get_window_extent(), ax._left_title.get_window_extent()
        for word in words:
            assert panel.y0 - 1.0 <= word.y0
            assert word.y1 <= panel.y1 + 1.0
            assert not word.overlaps(title)
        ticks = [label.get_window_extent() for label in ax.get_xticklabels() if label.get_text()]
        assert overlaps(ticks) == []


def test_prediction_has_the_jacobians_rate_through_a_measured_iterate(raw_tables):
    iterates, rates = raw_tables("contraction")
    data = contraction_draw.data(iterates, rates)
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


def test_equilibria_of_many_games_fit_a_page_and_are_drawn_once_each(drawn_table):
    games = [("uniform", 0.0), *((f"game_{i}", 0.01 * (i // 2)) for i in range(28))]  # in pairs
    table = drawn_table("equilibria")
    table = table[table["game"] == "smooth"]
    even = table.assign(value=np.where(table["series"] == "policy", 1 / 3, 0.2))
    many = [even.assign(game=game, value=even["value"] * (1 + shift * even["state"])) for game, shift in games]
    drawing = equilibria_draw.figure(pd.concat(many))
    shown = [ax.get_title(loc="left") or ax.get_title() for ax in drawing.axes]
    assert [title for title in shown if "game" in title and not title.endswith(" +1")] == []
    assert sum(title.endswith(" +1") for title in shown) == 13  # the first pair is uniform too
    assert drawing.get_figheight() <= 1.01 * style.PAGE * drawing.get_figwidth()


def test_networked_learning_in_many_games_fits_a_page(drawn_table):
    table = drawn_table("networked")
    table = table[table["game"] == "smooth"]
    drawing = networked_draw.figure(pd.concat([table.assign(game=f"game_{i}") for i in range(8)]))
    assert len(drawing.axes) == 24
    assert drawing.get_figheight() <= 1.01 * style.PAGE * drawing.get_figwidth()


def test_kink_at_the_equilibrium_has_no_prediction(raw_tables):
    data = contraction_draw.data(*raw_tables("contraction"))
    assert set(data.loc[data["series"] == "predicted", "game"]) == {"smooth"}
    titles = [ax.get_legend().get_title().get_text() for ax in contraction_draw.figure(data).axes]
    assert ["no prediction" in title for title in titles] == [True, False]  # kinked, smooth


def test_cycling_step_size_is_shown_without_prediction(raw_tables):
    iterates, rates = raw_tables("contraction")
    cycle = pd.DataFrame({"iteration": range(2000), "distance": 0.3, "game": "smooth", "step_size": 50.0, "start": 0})
    row = rates[rates["game"] == "smooth"].iloc[:1]
    row = row.assign(step_size=50.0, converged=False, iterations=1999, spectral_radius=1.7)
    data = contraction_draw.data(pd.concat([iterates, cycle]), pd.concat([rates, row]))
    shown = data[(data["step_size"] == 50.0)]
    assert set(shown["series"]) == {"measured"}
    assert shown["iteration"].max() == rates.loc[rates["game"] == "smooth", "iterations"].max()
    only = contraction_draw.data(cycle, row)
    assert only["iteration"].max() == 1999


def test_game_has_one_colour_in_all_figures(drawing):
    def colours(label):
        (legend,) = drawing("populations").legends
        named = zip(legend.get_texts(), legend.legend_handles, strict=True)
        return {to_hex(handle.get_color()) for text, handle in named if text.get_text() == label}

    (panel,) = (ax for ax in drawing("samples").axes if ax.get_title(loc="left").endswith("smooth"))
    drawn = {to_hex(line.get_color()) for line in panel.get_lines()}
    assert {colour for colour in drawn if len(set(colour[1:])) > 2} == colours("smooth")  # all others are greys
    assert len(colours("smooth") | colours("kinked")) == 2


def test_a_learner_that_no_figure_knows_is_drawn_under_its_own_name(drawn_table):
    data = drawn_table("comparison").replace({"method": {"gmf_q": "my_learner"}})
    (legend,) = comparison_draw.figure(data).legends
    names = [text.get_text() for text in legend.get_texts()]
    assert "my learner" in names
    assert "GMF-Q" not in names
    assert "fitted Q" in names
