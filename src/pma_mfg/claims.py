"""From tables to verdicts: each claim of the paper, what was measured, and what would have confirmed or refuted it.

Docs/theory.md, section 12. A verdict compares an interval with what is expected: confirmed if the interval lies inside,
not confirmed if it lies outside, inconclusive if it straddles the border, if nothing could be tested, or if the claim
is one on a limit and the next order of its expansion decides over the range that was run (section 11).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Any, Literal

import numpy as np
import pandas as pd
from scipy.special import stdtr, stdtrit

from pma_mfg import seeds, statistics
from pma_mfg.checks import CONVERGED
from pma_mfg.dynamics import DEPARTURE
from pma_mfg.statistics import Estimate

Verdict = Literal["confirmed", "not confirmed", "inconclusive"]
Claim = dict[str, Any]
Tables = Mapping[str, pd.DataFrame]

#: Tables that `evaluate` reads.
TABLES = (
    "ratios",
    "rates",
    "certified",
    "phase",
    "certified_strengths",
    "damping",
    "departures",
    "ctd",
    "ctd_floor",
    "moments",
    "epsilon",
    "prescribed",
    "independent",
    "independent_epsilon",
    "bias",
    "agreement",
    "nash",
    "comparison",
    "samples_to_accuracy",
    "atlas",
)

#: What `evaluate` joins for claims on several tables.
JOINED = {
    "runs": ("epsilon", "prescribed"),
    "compared": ("comparison", "samples_to_accuracy"),
    "faded": ("ctd_floor", "moments"),
}

PAPER = "Yardim, Cayci, Geist and He (ICML 2023)"
#: A ratio may exceed its bound by rounding: differences of some 1e-6 carry ten digits.
RATIO_ROUNDING = 1e-9
#: A pair that stands for a derivative lies 1e-5 apart, so its ratio carries some six digits next to the exact norm.
PAIR_ROUNDING = 1e-6
#: A bias counts as measured, and above its Monte Carlo floor, at this many standard errors.
FLOOR_STANDARD_ERRORS = 5.0
#: The slope of the TD error is fitted to M_td within this factor of the largest: below, the start has not faded.
FITTED_FACTOR = 20.0
#: Relative, on the exponent of the mixing bias: a complex pair of eigenvalues makes it swing about its line, and faster
#: modes are still seen at small M_mix.
MIXING_TOLERANCE = 0.1
#: A mixing bias below this is rounding of Q.
ROUNDED_BIAS = 1e-11
#: Simulation and exact solution agree within this many standard errors.
AGREEMENT_STANDARD_ERRORS = 4.0
#: The slope of the Nash gap is taken over the upper end of the populations: the last two decades.
GAP_DECADES = 100.0
#: Probability with which a correct prediction of the bias in all games of a grid of the atlas is called wrong.
FALSE_ALARM = 0.01


def verdict(interval: tuple[float, float], expected: tuple[float, float]) -> Verdict:
    """Compare an interval with the expected range.

    Parameters
    ----------
    interval : (low, high)
        Of the measured quantity; nan if it could not be measured.
    expected : (low, high)
        The range that the claim, with its stated tolerance, allows.

    Returns
    -------
    str
        "confirmed", "not confirmed" or "inconclusive".
    """
    if any(map(math.isnan, interval)):
        return "inconclusive"
    if expected[0] <= interval[0] and interval[1] <= expected[1]:
        return "confirmed"
    if interval[1] < expected[0] or interval[0] > expected[1]:
        return "not confirmed"
    return "inconclusive"


def evaluate(
    tables: Tables,
    confidence: float,
    rate_tolerance: float,
    slope_tolerance: float,
    samples_slope_tolerance: float,
    constant_tolerance: float,
    independent_tolerance: float,
    own: Collection[str] = (),
) -> list[Claim]:
    """Return one record per claim and game.

    Parameters
    ----------
    tables : mapping of str to DataFrame
        The tables `TABLES`, as written by `checks` and `sweeps`, all games together. Claims on a table that is not
        there are left out.
    confidence : float
        Of every interval, in (0, 1).
    rate_tolerance : float
        Relative, on PMA's rate against the spectral radius.
    slope_tolerance : float
        Absolute, on the slopes of the TD error and of the finite-population bias, and on the floor of the TD error in
        units of the predicted one.
    samples_slope_tolerance : float
        Absolute, on the slope of samples against 1 / epsilon.
    constant_tolerance : float
        Relative, on a constant against its closed form.
    independent_tolerance : float
        On the spread of independent learners against its first-order prediction (relative), and on its slope.
    own : collection of str
        Games that are the user's own: what is said of them is said of them, and not of the paper.

    Returns
    -------
    list of dict
        With keys id, statement, source, game, own, quantity, estimate, interval, expected, verdict, too_small (whether
        it is inconclusive for the range that was run), how, tables (names of those it was computed from), code (the
        function). Numbers that do not exist are None.
    """
    records = []
    if "epsilon" in tables and "prescribed" in tables:
        runs = pd.concat([tables["epsilon"], tables["prescribed"]], ignore_index=True)
        both = runs.groupby("game")["schedule"].nunique() == 2
        tables = {**tables, "runs": runs[runs["game"].isin(both.index[both])]}
    if "comparison" in tables:
        comparison = tables["comparison"][tables["comparison"]["chosen"]]
        ends = [rows[rows["samples"].isin(_three(rows["samples"]))] for _, rows in comparison.groupby("game")]
        tables = {**tables, "compared": pd.concat([*ends, tables["samples_to_accuracy"]], ignore_index=True)}
    if "ctd_floor" in tables:
        floor = tables["ctd_floor"].assign(mean_error=math.nan)
        moments = tables.get("moments", floor.iloc[:0])
        moments = moments[moments["game"].isin(floor["game"])]
        tables = {**tables, "faded": pd.concat([floor, moments], ignore_index=True)}
    for claim, table, tolerance in (
        (_operator_bounds, "ratios", RATIO_ROUNDING),
        (_jacobian_norm, "ratios", RATIO_ROUNDING),
        (_certified_norm, "ratios", RATIO_ROUNDING),
        (_pairs_below_norm, "ratios", PAIR_ROUNDING),
        (_certified_radius, "phase", RATIO_ROUNDING),
        (_linear_rate, "rates", rate_tolerance),
        (_certified_convergence, "rates", 0.0),
        (_certified_runs, "certified", 0.0),
        (_regions, "phase", 0.0),
        (_certified_strengths, "certified_strengths", 0.0),
        (_best_response_fails, "damping", 0.0),
        (_damped, "damping", 0.0),
        (_damped_fastest, "damping", 0.0),
        (_not_held, "departures", 0.0),
        (_left, "departures", 0.0),
        (_td_rate, "ctd", slope_tolerance),
        (_mixing, "moments", MIXING_TOLERANCE),
        (_floor, "faded", slope_tolerance),
        (_floor_rate, "ctd_floor", slope_tolerance),
        (_samples_slope, "epsilon", samples_slope_tolerance),
        (_accuracy, "epsilon", 0.0),
        (_prescribed, "prescribed", 0.0),
        (_conservative, "runs", 0.0),
        (_independent_samples, "independent_epsilon", samples_slope_tolerance),
        (_independent_updates, "independent", slope_tolerance),
        (_independent_spread, "independent", independent_tolerance),
        (_independent_step, "independent", independent_tolerance),
        (_independent_worst, "independent", independent_tolerance),
        (_bias_slope, "bias", slope_tolerance),
        (_deviation_constant, "bias", constant_tolerance),
        (_bias_constant, "bias", constant_tolerance),
        (_agreement, "agreement", 0.0),
        (_gap_bound, "nash", slope_tolerance),
        (_gap_order, "nash", slope_tolerance),
        (_gap_tight, "nash", slope_tolerance),
        (_gap_constant, "nash", constant_tolerance),
        (_no_generative_model, "compared", 0.0),
        (_atlas_bounds, "atlas", RATIO_ROUNDING),
        (_atlas_convergence, "atlas", 0.0),
        (_atlas_rate, "atlas", rate_tolerance),
        (_atlas_bias, "atlas", 0.0),
        (_atlas_learning, "atlas", 0.0),
    ):
        make: Callable[[pd.DataFrame, float, float], Claim] = claim
        for game, rows in tables[table].groupby("game") if table in tables else ():
            record = make(rows, tolerance, confidence)
            origin = {"tables": list(JOINED.get(table, (table,))), "code": f"{__name__}.{make.__name__}"}
            records.append(_record(str(game), **record) | {"own": str(game) in own} | origin)
    return records


def _three(samples: pd.Series) -> list[int]:
    """Return the first number of samples, the last, and the one nearest to a third of it."""
    checkpoints = np.unique(samples)
    third = checkpoints[np.abs(np.log(checkpoints / (checkpoints[-1] / 3.0))).argmin()]
    return [int(checkpoints[0]), int(third), int(checkpoints[-1])]


def _record(
    game: str,
    *,
    id: str,
    statement: str,
    source: str,
    quantity: str,
    estimate: Estimate,
    expected: tuple[float, float],
    how: str,
    too_small: str = "",
) -> Claim:
    def number(value: float) -> float | None:
        return float(value) if math.isfinite(value) else None

    return {
        "id": id,
        "statement": statement,
        "source": f"{PAPER}, {source}",
        "game": game,
        "quantity": quantity,
        "estimate": number(estimate.value),
        "interval": [number(estimate.low), number(estimate.high)],
        "expected": [number(end) for end in expected],
        "verdict": "inconclusive" if too_small else verdict((estimate.low, estimate.high), expected),
        "too_small": bool(too_small),
        "how": f"too small a range: {too_small}; {how}" if too_small else how,
    }


def markdown(records: list[Claim]) -> str:
    """Return the verdicts as a table for readers, one section per claim.

    Parameters
    ----------
    records : list of dict
        From `evaluate`.

    Returns
    -------
    str
        Markdown.
    """

    def number(value: float | None) -> str:
        return "–" if value is None else f"{value:.4g}"

    lines = [
        "# Verdicts",
        "",
        "Written by the pipeline from its tables. *Confirmed*: the whole interval lies in the expected range; *not "
        "confirmed*: outside; *inconclusive*: across its border, or nothing could be tested, or the claim is on a "
        "limit and the range that was run too small to see it.",
    ]
    for claim in dict.fromkeys(record["id"] for record in records):
        rows = [record for record in records if record["id"] == claim]
        first = rows[0]
        lines += [
            "",
            f"## {claim}: {first['statement']}",
            "",
            f"{first['source']}. Quantity: {first['quantity']}.",
            "",
            "| game | verdict | estimate | interval | expected | how |",
            "|---|---|---|---|---|---|",
        ]
        for row in rows:
            interval, expected = (" … ".join(number(end) for end in row[key]) for key in ("interval", "expected"))
            cells = [row["game"], f"**{row['verdict']}**", number(row["estimate"]), interval, expected, row["how"]]
            lines.append(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |")
    return "\n".join(lines) + "\n"


#: Methods of `baselines.METHODS` in words.
METHODS = {
    "pma": "PMA, one trajectory",
    "gmf_q": "GMF-Q",
    "fitted_q": "fitted Q",
    "fictitious_play": "fictitious play",
    "online_mirror_descent": "mirror descent",
    "two_timescale": "two timescales",
}


#: Where `baselines.checkpoints` begin: exploitability that is small here was so at the start.
FIRST_SAMPLES = 10


COMPARISON = (
    "Samples after which exploitability stays at or below the accuracy to the end of the budget: median of the "
    "replicates [bootstrap interval of tuning and measuring] (docs/theory.md, section 17.4). Exploitability is "
    "regularized. Accuracies are shares of the range of rewards, "
    "which compares games, or plain, in the units of a game's own rewards. PMA learns on one trajectory of N agents, "
    "and one transition of one agent is one sample; the others may call a simulator at any state, action and mean "
    "field, and one call is one sample. In brackets behind *not reached*: replicates that reach it. Last column: "
    "samples of PMA over those of the best other method."
)


def comparison_cells(table: pd.DataFrame) -> pd.DataFrame:
    """Return the samples that each method needs to each accuracy as text for readers.

    Parameters
    ----------
    table : DataFrame
        Of `baselines.samples_to_accuracy`, all games together.

    Returns
    -------
    DataFrame
        Of str, a row for each game and accuracy; `COMPARISON` says what it means.
    """
    methods = [method for method in METHODS if method in set(table["method"])]
    found = []
    for (game, unit, accuracy), rows in table.groupby(["game", "unit", "accuracy"], sort=False):
        points = rows.set_index("method")
        words = f"{accuracy:g} of the range" if unit == "range" else f"{accuracy:g} plain"
        cells = {"game": str(game).replace("_", " "), "accuracy": words}
        for method in methods:
            samples, low, high = (float(points[column][method]) for column in ("samples", "low", "high"))
            if samples <= FIRST_SAMPLES:
                cells[METHODS[method]] = "from the start"
            elif math.isfinite(samples):
                cells[METHODS[method]] = f"{_thousands(samples)} [{_thousands(low)}, {_thousands(high)}]"
            else:
                reached = f"{points['n_reached'][method]} of {points['n_replicates'][method]}"
                cells[METHODS[method]] = f"not reached ({reached})"
        cells["PMA / best other"] = f"{ratio:.2g}" if math.isfinite(ratio := _over_best(points)[0]) else "–"
        found.append(cells)
    return pd.DataFrame(found)


def comparison_markdown(table: pd.DataFrame) -> str:
    """Return `comparison_cells` of the same table as Markdown."""
    return _markdown("# Samples to an accuracy", f"Written by the pipeline. {COMPARISON}", comparison_cells(table))


def _markdown(title: str, text: str, cells: pd.DataFrame) -> str:
    """Return a titled table as Markdown."""
    lines = [title, "", text, "", f"| {' | '.join(map(str, cells))} |", f"|{'---|' * len(cells.columns)}"]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in cells.itertuples(index=False))]) + "\n"


def _thousands(samples: float) -> str:
    return f"{float(f'{samples:.2g}'):,.0f}" if math.isfinite(samples) else "∞"


def _over_best(points: pd.DataFrame) -> tuple[float, str]:
    """Return PMA's samples over those of the best other method, which is named; nan if either is infinite."""
    samples = points["samples"].astype(float)
    others = samples.drop("pma")
    best = str(others.idxmin())
    finite = FIRST_SAMPLES < samples["pma"] < math.inf and FIRST_SAMPLES < others[best] < math.inf
    return (float(samples["pma"] / others[best]) if finite else math.nan), best


#: How a number of each kind is shown.
_SIGNS = {"exact": "", "upper bound": "≤ ", "lower bound": "≥ ", "estimate": "≈ "}
_SYMBOLS = {
    "K_mu": "K_μ",
    "K_s": "K_s",
    "K_a": "K_a",
    "L_mu": "L_μ",
    "L_s": "L_s",
    "L_a": "L_a",
    "delta": "δ",
    "L_pop": "L_pop",
    "L_h": "L_h",
    "p_inf": "p_inf",
    "T_mix": "T_mix",
    "delta_mix": "δ_mix",
}


ASSUMPTIONS = (
    "What the theory assumes of a game (docs/theory.md, section 4), for each game of the "
    "configuration, with step size 1 / strength for p_inf. A bare number is exact; ≤ and ≥ mark proven bounds, ≈ "
    "an estimate. Assumption 1: the six Lipschitz constants are finite. 2: L_pop < 1. 3: p_inf > 0. 4: δ_mix > 0. "
    "A bound that fails its condition shows that the assumption is not proven, not that it is false."
)


def assumptions_cells(table: pd.DataFrame) -> pd.DataFrame:
    """Return what the paper assumes of each game as text for readers.

    Parameters
    ----------
    table : DataFrame
        Of `checks.assumptions`, all games together.

    Returns
    -------
    DataFrame
        Of str, a row for each game; `ASSUMPTIONS` says what it means.
    """
    found = []
    for game, rows in table.groupby("game"):
        values = rows.set_index("quantity")[["value", "kind"]]
        value = values["value"]
        shown = {
            "1": all(
                math.isfinite(value[name]) and values["kind"][name] != "estimate"
                for name in ("K_mu", "K_s", "K_a", "L_mu", "L_s", "L_a")
            ),
            "2": value["L_pop"] < 1.0 and values["kind"]["L_pop"] != "estimate",
            "3": value["p_inf"] > 0.0,
            "4": value["delta_mix"] > 0.0,
        }
        cells = {"game": str(game).replace("_", " ")}
        cells |= {symbol: f"{_SIGNS[values['kind'][name]]}{value[name]:.3g}" for name, symbol in _SYMBOLS.items()}
        cells["assumptions shown"] = ", ".join(number for number, holds in shown.items() if holds) or "none"
        found.append(cells)
    return pd.DataFrame(found)


def assumptions_markdown(table: pd.DataFrame) -> str:
    """Return `assumptions_cells` of the same table as Markdown."""
    return _markdown("# Assumptions", f"Written by the pipeline. {ASSUMPTIONS}", assumptions_cells(table))


GAMES = (
    "S states, A actions; the "
    "largest residual of the equilibrium; equilibria found, from how many starts (there may be more); "
    "exploitability without the "
    "regularizer; L_pop and the spectral radii of PMA and of the best response at the equilibrium. ≤ marks a "
    "proven bound, ≈ an estimate. Assumptions shown, as in {}."
)


def games_cells(table: pd.DataFrame) -> pd.DataFrame:
    """Return what is known of the games from the literature as text for readers.

    Parameters
    ----------
    table : DataFrame
        Of `survey.survey`, all games together.

    Returns
    -------
    DataFrame
        Of str, a row for each game; `GAMES` says what it means, and wants the place of the assumptions.
    """
    found = []
    row: Any
    for row in table.itertuples():
        radius, best = (
            "–" if math.isnan(value) else f"{value:.3g}" for value in (row.radius, row.best_response_radius)
        )
        found.append(
            {
                "game": str(row.game).replace("_", " "),
                "S": f"{row.states:g}",
                "A": f"{row.actions:g}",
                "γ": f"{row.discount:g}",
                "regularizer": f"{row.regularizer} {row.strength:g}",
                "residual": f"{row.residual:.1e}",
                "equilibria": f"{row.equilibria} from {row.starts}",
                "exploitability without regularizer": f"{row.exploitability_unregularized:.3g}",
                "L_pop": f"{_SIGNS[str(row.L_pop_kind)]}{row.L_pop:.3g}",
                "radius of PMA": radius,
                "of best response": best,
                "assumptions shown": str(row.assumptions),
                "remark": str(row.remark),
            }
        )
    return pd.DataFrame(found)


SEVERAL = (
    "Every equilibrium found (docs/theory.md, section 14.2); the first of a game is that of the table above. Mean "
    "field: the states with the largest shares. Starts: how many led to it. Stability under PMA and of the population "
    "while the policy is kept, each by its spectral radius; radii and index (14.3) have – at a kink."
)


def equilibria_cells(equilibria: pd.DataFrame) -> pd.DataFrame:
    """Return the equilibria of games that have several as text for readers.

    Parameters
    ----------
    equilibria : DataFrame
        Of `survey.survey`, all games together.

    Returns
    -------
    DataFrame
        Of str, a row for each equilibrium; `SEVERAL` says what it means. Empty if no game has several.
    """
    found = []
    row: Any
    for row in equilibria[equilibria.groupby("game", sort=False)["equilibrium"].transform("size") > 1].itertuples():
        radii = (row.radius, row.population_radius)
        leaves = [name for name, radius in zip(("PMA", "the population"), radii, strict=True) if radius > 1.0]
        stability = f"{' and '.join(leaves)} leave{'s' * (len(leaves) == 1)}" if leaves else "stable"
        if not leaves and not all(radius < 1.0 for radius in radii):
            stability = "–"
        of_policies, of_populations = ("–" if math.isnan(x) else f"{x:.3g}" for x in radii)
        found.append(
            {
                "game": str(row.game).replace("_", " "),
                "mean field": str(row.largest),
                "starts": str(row.reached),
                "residual": f"{row.residual:.1e}",
                "exploitability without regularizer": f"{row.exploitability_unregularized:.3g}",
                "radius of PMA": of_policies,
                "of the population": of_populations,
                "index": "–" if math.isnan(row.fixed_point_index) else f"{row.fixed_point_index:+g}",
                "stability": stability,
            }
        )
    return pd.DataFrame(found)


def games_markdown(table: pd.DataFrame, equilibria: pd.DataFrame) -> str:
    """Return `games_cells` and `equilibria_cells` of the same tables as Markdown."""
    text = "Written by the pipeline (docs/theory.md, section 14; equilibria: gallery.png). "
    games = _markdown("# Games from the literature", text + GAMES.format("assumptions.md"), games_cells(table))
    several = equilibria_cells(equilibria)
    return games if several.empty else games + "\n" + _markdown("## Where there are several", SEVERAL, several)


def _exactly(value: float) -> Estimate:
    return Estimate(value, value, value)


def _generator(rows: pd.DataFrame, claim: str) -> np.random.Generator:
    """Bootstrap draws depend on the claim and the game only."""
    return seeds.generator(0, "claims", claim, str(rows["game"].iloc[0]))


def _replicates(rows: pd.DataFrame, by: str, value: str) -> tuple[list[float], list[np.ndarray]]:
    """Return the sorted values of `by` and, for each, the replicates of `value`."""
    points = sorted(set(rows[by]))
    groups = [rows[rows[by] == x].sort_values("replicate")[value].to_numpy() for x in points]
    return [float(x) for x in points], groups


def _settled(
    rows: pd.DataFrame,
    claim: str,
    estimate: Estimate,
    expected: tuple[float, float],
    tolerance: float,
    order: float,
    corrected: Callable[[np.random.Generator, Callable[[Sequence[float], Sequence[float]], float]], Estimate],
) -> str:
    """Return why a slope is not judged, in words, or nothing: the rule of docs/theory.md, section 11.

    Parameters
    ----------
    rows, claim
        For the generator.
    estimate, expected, tolerance
        The least-squares slope, and what is expected of it.
    order : float
        Exponent of the next term of the expansion, relative to the first.
    corrected : callable
        The estimate again, with another function of the points than their least-squares slope.
    """
    judged = verdict((estimate.low, estimate.high), expected)
    if judged == "inconclusive":
        return ""
    beside = partial(statistics.next_order_slope, order=order)
    next_order = corrected(_generator(rows, f"{claim} next order"), beside)
    if math.isnan(next_order.value):
        return "two points are no line"
    other = verdict((next_order.low, next_order.high), expected)
    if judged == "confirmed":
        stands = other != "not confirmed"
    else:
        bend = corrected(
            _generator(rows, f"{claim} next order"), lambda x, y: statistics.log_log_slope(x, y) - beside(x, y)
        )
        stands = other == judged and bend.low <= tolerance and bend.high >= -tolerance
    if stands:
        return ""
    return (
        f"beside a next term of relative order x^{order:g} the slope is {next_order.value:.3g} "
        f"[{next_order.low:.3g}, {next_order.high:.3g}]"
    )


def _next_order(populations: Sequence[float], ratios: Sequence[float], order: float) -> float:
    """Return the part of the last of some ratios that falls as N^-order, by the last two of them; nan for one."""
    if len(populations) < 2:
        return math.nan
    return float((ratios[-2] - ratios[-1]) / ((populations[-1] / populations[-2]) ** order - 1.0))


def _few_agents(populations: Sequence[float], ratios: Sequence[float], tolerance: float) -> str:
    """Return why a measured constant is not compared with one of large N, in words, or nothing."""
    rest = _next_order(populations, ratios, 0.5)
    if abs(rest) <= tolerance:
        return ""
    if math.isnan(rest):
        return "one N cannot show what is left of smaller orders"
    return (
        f"from N = {populations[-2]:g} to {populations[-1]:g} the ratio goes from {ratios[-2]:.4g} to "
        f"{ratios[-1]:.4g}, so that smaller orders may still be {rest:.2g} of it"
    )


def _operator_bounds(rows: pd.DataFrame, tolerance: float, confidence: float) -> Claim:
    rows = rows[rows["within"] != "W"]
    finite = rows[np.isfinite(rows["bound"])]
    infinite = sorted(set(rows["operator"]) - set(finite["operator"]))
    worst = (finite["largest_ratio"] / finite["bound"]).max() if len(finite) else math.nan
    vacuous = f"; the bound is infinite, and nothing is tested, for {', '.join(infinite)}" if infinite else ""
    return {
        "id": "C1a",
        "statement": "Each operator is Lipschitz with its stated constant.",
        "source": "Lemmas on the operators of section 3",
        "quantity": "largest observed Lipschitz ratio / bound, over operators and step sizes",
        "estimate": _exactly(float(worst)),
        "expected": (0.0, 1.0 + tolerance),
        "how": f"searched {int(rows['n_pairs'].iloc[0])} random pairs per operator and step size, near and far, and "
        f"climbed from the best; constants of the game: {', '.join(sorted(set(finite['kind'])))}{vacuous}",
    }


def _largest_norm(rows: pd.DataFrame) -> tuple[Estimate, str]:
    """Return the largest norm of PMA's Jacobian next to its bound, over settings with a finite one, and how many."""
    finite = rows[np.isfinite(rows["bound"])]
    if finite.empty:
        return _exactly(math.nan), f"all {len(rows)} bounds are infinite, and nothing is tested"
    norms = finite[["jacobian_norm", "jacobian_upper"]].div(finite["bound"], axis=0).max()
    low, high = (float(norm) for norm in norms)
    kinds = ", ".join(sorted(set(finite["kind"])))
    return Estimate(low, low, high), (
        f"{len(finite)} of {len(rows)} settings (mirror map, step size) with a finite bound, smallest "
        f"{finite['bound'].min():.3g}, from constants of kind: {kinds}; no counter-example in "
        f"{int(finite['n_pairs'].sum())} random pairs and in the points climbed to; the interval is that of the "
        "exact norm where it is largest"
    )


def _jacobian_norm(rows: pd.DataFrame, tolerance: float, confidence: float) -> Claim:
    estimate, how = _largest_norm(rows[(rows["operator"] == "policy_mirror_ascent") & (rows["within"] == "U")])
    return {
        "id": "C1b",
        "statement": "The norm of the exact Jacobian of PMA is at most L_Gamma_eta of section 5.1, everywhere in U.",
        "source": "Proposition on the contraction of Gamma_eta",
        "quantity": "largest norm of the Jacobian found by ascent / bound, over step sizes",
        "estimate": estimate,
        "expected": (0.0, 1.0 + tolerance),
        "how": how,
    }


def _certified_norm(rows: pd.DataFrame, tolerance: float, confidence: float) -> Claim:
    estimate, how = _largest_norm(rows[(rows["operator"] == "policy_mirror_ascent") & (rows["within"] == "W")])
    return {
        "id": "C1b-certificate",
        "statement": "The norm of the exact Jacobian of PMA is at most the certificate, everywhere in W.",
        "source": "Proposition on the contraction of Gamma_eta (with our sharper certificate)",
        "quantity": "largest norm of the Jacobian found by ascent / certificate, over mirror maps and step sizes",
        "estimate": estimate,
        "expected": (0.0, 1.0 + tolerance),
        "how": how,
    }


def _pairs_below_norm(rows: pd.DataFrame, tolerance: float, confidence: float) -> Claim:
    gains = rows["largest_ratio"] / rows["random_ratio"]
    return {
        "id": "C1b-search",
        "statement": "No pair has a larger ratio than the largest norm of a Jacobian that the search has found.",
        "source": "a check of our search, not of the paper",
        "quantity": "largest ratio of a pair / largest norm found, over operators",
        "estimate": _exactly(float((rows["largest_ratio"] / rows["jacobian_norm"]).max())),
        "expected": (0.0, 1.0 + tolerance),
        "how": f"{len(rows)} settings; against random pairs alone the ascent raises the largest ratio by a factor of "
        f"{gains.median():.3g} (median), {gains.max():.3g} (largest)",
    }


def _certified_radius(rows: pd.DataFrame, tolerance: float, confidence: float) -> Claim:
    bounds = rows[["paper_bound", "certificate", "attraction"]].min(axis=1)
    ratios = (rows["spectral_radius"] / bounds)[np.isfinite(bounds) & rows["spectral_radius"].notna()]
    return {
        "id": "C1b-radius",
        "statement": "The spectral radius at the equilibrium is at most each bound.",
        "source": "Proposition on the contraction of Gamma_eta",
        "quantity": "largest spectral radius / smallest bound, over the plane of strength and step size",
        "estimate": _exactly(float(ratios.max()) if len(ratios) else math.nan),
        "expected": (0.0, 1.0 + tolerance),
        "how": f"{len(ratios)} of {len(rows)} points (regularizer, mirror map, strength, step size) with a finite "
        "bound and a derivative at the equilibrium",
    }


def _linear_rate(rows: pd.DataFrame, tolerance: float, confidence: float) -> Claim:
    usable = rows[rows["differentiable"] & rows["observed_rate"].notna() & (rows["spectral_radius"] < 1.0)]
    slowest = usable.groupby("step_size")[["observed_rate", "spectral_radius"]].max()
    errors = (slowest["observed_rate"] / slowest["spectral_radius"] - 1.0).abs()
    reason = (
        "" if rows["differentiable"].all() else "; Gamma_eta has a kink at this equilibrium, so no rate is predicted"
    )
    return {
        "id": "C1c",
        "statement": "PMA converges linearly, from its slowest start at the rate of the Jacobian's spectral radius.",
        "source": "Proposition on the contraction of Gamma_eta (sharpened by the exact Jacobian)",
        "quantity": "largest relative error of the slowest start's rate, over step sizes",
        "estimate": _exactly(float(errors.max()) if len(errors) else math.nan),
        "expected": (0.0, tolerance),
        "how": f"{len(usable)} of {len(rows)} runs (start, step size) with enough iterates close to the equilibrium; "
        f"log-linear fit; a start that misses the slowest mode converges faster{reason}",
    }


def _certified_convergence(rows: pd.DataFrame, tolerance: float, confidence: float) -> Claim:
    certified = rows[rows["bound"] < 1.0]
    share = float(certified["converged"].mean()) if len(certified) else math.nan
    late = certified[~certified["converged"]]
    needed = math.log(0.5 * CONVERGED) / np.log(late["bound"])  # from a distance of 2
    short = int((late["iterations"] < needed).sum())
    return {
        "id": "C1d",
        "statement": "Where the bound L_Gamma_eta is below 1, PMA converges from every start.",
        "source": "Proposition on the contraction of Gamma_eta",
        "quantity": "share of certified runs that converge",
        "estimate": _exactly(share),
        "expected": (1.0 - tolerance, 1.0),
        "how": f"{len(certified)} of {len(rows)} runs are certified; smallest bound {rows['bound'].min():.3g}, "
        f"largest spectral radius {rows['spectral_radius'].max():.3g}",
        "too_small": f"{short} runs ended before the bound promises that they arrive, after up to {needed.max():.0f} "
        "iterations"
        if short and short == len(late)
        else "",
    }


def _region(rows: pd.DataFrame) -> tuple[pd.DataFrame, str]:
    """Return the rows where the best response's Jacobian has spectral radius above 1, and the region in words."""
    unstable = rows[rows["best_response_radius"] > 1.0]
    total = rows["strength"].nunique()
    if unstable.empty:
        return unstable, f"none of {total} strengths has a spectral radius of the best response above 1"
    low, high = unstable["strength"].min(), unstable["strength"].max()
    radii, count = unstable["best_response_radius"], unstable["strength"].nunique()
    return unstable, (
        f"spectral radius of the best response {radii.min():.3g} to {radii.max():.3g} at {count} of {total} strengths, "
        f"{low:g} to {high:g}"
    )


def _share(rows: pd.DataFrame, column: str) -> Estimate:
    return _exactly(float(rows[column].mean()) if len(rows) else math.nan)


def _best_response_fails(rows: pd.DataFrame, tolerance: float, confidence: float) -> Claim:
    unstable, region = _region(rows[rows["method"] == "best_response"])
    periods = ", ".join(map(str, sorted(set(unstable.loc[unstable["ending"] == "cycle", "period"]))))
    elsewhere = rows[(rows["method"] == "best_response") & (rows["best_response_radius"] <= 1.0)]
    return {
        "id": "C2-failure",
        "statement": "Best-response iteration does not converge where its Jacobian's spectral radius exceeds 1.",
        "source": "the case for mirror ascent (sharpened by the exact Jacobian)",
        "quantity": "share of best-response runs there that do not reach the equilibrium",
        "estimate": _share(unstable.assign(failed=~unstable["arrived"]), "failed"),
        "expected": (1.0 - tolerance, 1.0),
        "how": f"{region}; {(unstable['ending'] == 'cycle').sum()} of {len(unstable)} runs end on a cycle"
        f"{f', of period {periods}' if periods else ''}; at the other strengths "
        f"{elsewhere['arrived'].sum()} of {len(elsewhere)} runs converge",
    }


def _damped_at(rows: pd.DataFrame, share: float) -> Claim:
    """Return what both claims on PMA at a share of the locally fastest step size have in common."""
    unstable, region = _region(rows[rows["method"].str.startswith("pma") & (rows["share"] == share)])
    counts = ", ".join(
        f"{runs['arrived'].sum()} of {len(runs)} with {str(method).removeprefix('pma_')}"
        for method, runs in unstable.groupby("method")
    )
    missed = sorted(set(unstable.loc[~unstable["arrived"], "strength"]))
    failures = f"; misses at strength {', '.join(f'{strength:g}' for strength in missed)}" if missed else ""
    endings = unstable.loc[~unstable["arrived"], "ending"]
    return {
        "quantity": "share of PMA runs there that reach the equilibrium, both mirror maps",
        "estimate": _share(unstable, "arrived"),
        "how": f"eta is {share:g} of the one with the smallest spectral radius at the equilibrium; {region}; "
        f"converged: {counts or 'nothing to test'}{failures}",
        "too_small": f"{len(endings)} runs neither settle nor cycle before they are stopped"
        if len(endings) and (endings == "neither").all()
        else "",
    }


def _damped(rows: pd.DataFrame, tolerance: float, confidence: float) -> Claim:
    return _damped_at(rows, float(rows.loc[rows["method"] != "best_response", "share"].min())) | {
        "id": "C2-cycle",
        "statement": "Where best-response iteration fails, PMA with a moderate step size converges from every start.",
        "source": "the case for mirror ascent",
        "expected": (1.0 - tolerance, 1.0),
    }


def _damped_fastest(rows: pd.DataFrame, tolerance: float, confidence: float) -> Claim:
    return _damped_at(rows, float(rows.loc[rows["method"] != "best_response", "share"].max())) | {
        "id": "C2-fastest",
        "statement": "So does PMA with the step size that is fastest near the equilibrium.",
        "source": "none: whether local stability is enough",
        "expected": (1.0 - tolerance, 1.0),
    }


def _not_held(rows: pd.DataFrame, tolerance: float, confidence: float) -> Claim:
    gathering = rows[rows["best_response_lead"] > 1.0]
    by_mirror = gathering.groupby("mirror")["radius"].min()
    smallest = ", ".join(f"{radius:.4g} with {mirror}" for mirror, radius in by_mirror.items())
    return {
        "id": "C2-coordination",
        "statement": "No step size makes an equilibrium attractive where the best response has an eigenvalue above 1.",
        "source": "limit of the case for mirror ascent",
        "quantity": "smallest spectral radius of PMA there, over step sizes and mirror maps",
        "estimate": _exactly(float(by_mirror.min()) if len(gathering) else math.nan),
        "expected": (1.0, math.inf),
        "how": f"eigenvalue {rows['best_response_lead'].max():.4g}; {rows['step_size'].nunique()} step sizes from "
        f"{rows['step_size'].min():g} to {rows['step_size'].max():g}; smallest {smallest or 'not tested'}",
    }


def _left(rows: pd.DataFrame, tolerance: float, confidence: float) -> Claim:
    gathering = rows[rows["best_response_lead"] > 1.0]
    held = gathering[~gathering["left"].astype(bool)]
    # the distance grows by the radius in the end; before that a start must turn to the mode that grows
    needed = 2.0 * math.log(DEPARTURE) / np.log(held["radius"].clip(lower=1.0 + 1e-12))
    return {
        "id": "C2-departure",
        "statement": "PMA leaves such an equilibrium from every start next to it.",
        "source": "limit of the case for mirror ascent",
        "quantity": "share of runs that leave",
        "estimate": _share(gathering, "left"),
        "expected": (1.0 - tolerance, 1.0),
        "how": f"{gathering['start'].nunique()} perturbed starts for each of {gathering['step_size'].nunique()} step "
        f"sizes and {gathering['mirror'].nunique()} mirror maps; longest run {rows['iterations'].max()} iterations",
        "too_small": f"the spectral radius promises a departure after some {needed.max():.3g} iterations only"
        if len(held) and (held["iterations"] < needed).all()
        else "",
    }


def _certified_runs(rows: pd.DataFrame, tolerance: float, confidence: float) -> Claim:
    started = int(rows["n_starts"].sum())
    return {
        "id": "C1d-certificate",
        "statement": "Where the certificate or the attraction's rate is below 1, PMA converges from every start in W.",
        "source": "Proposition on the contraction of Gamma_eta (with our sharper certificate)",
        "quantity": "share of certified runs that converge",
        "estimate": _exactly(float(rows["n_converged"].sum()) / started if started else math.nan),
        "expected": (1.0 - tolerance, 1.0),
        "how": f"{started} runs; {int((rows['n_starts'] > 0).sum())} of {len(rows)} settings (mirror map, step size) "
        f"are certified, {int((rows['certificate'] < 1.0).sum())} by the certificate; smallest certificate "
        f"{rows['certificate'].min():.3g}, no floor",
    }


def _regions(rows: pd.DataFrame, tolerance: float, confidence: float) -> Claim:
    run = rows[rows["returned"].notna()]
    right = (run["returned"] == 1.0) == (run["spectral_radius"] < 1.0)
    counts = ", ".join(f"{len(group)} {region}" for region, group in run.groupby("region"))
    unsolved = rows[rows["region"] == "unsolved"]["strength"].nunique()
    missing = f"; no equilibrium was found at {unsolved} strengths" if unsolved else ""
    shares = [(rows[bound] < 1.0).mean() for bound in ("paper_bound", "certificate")]
    shares.append((rows[["certificate", "attraction"]].min(axis=1) < 1.0).mean())
    return {
        "id": "C1e",
        "statement": "From nearby, PMA returns to the equilibrium where the spectral radius is below 1, and not above.",
        "source": "a sharpening of the contraction (Theorem 7.1 of docs/theory.md)",
        "quantity": "share of runs that do as the spectral radius says",
        "estimate": _exactly(float(right.mean()) if len(run) else math.nan),
        "expected": (1.0 - tolerance, 1.0),
        "how": f"runs at points drawn from each region of the plane, both regularizers and mirror maps: {counts}; "
        f"of the plane section 5.1 certifies {shares[0]:.1%}, the certificate {shares[1]:.1%}, with attraction "
        f"{shares[2]:.1%}{missing}",
    }


def _certified_strengths(rows: pd.DataFrame, tolerance: float, confidence: float) -> Claim:
    euclidean = rows[rows["mirror"] == "euclidean"].set_index(["regularizer", "bound"])["smallest_strength"]
    parts, gains = [], []
    for regularizer in sorted(set(rows["regularizer"])):
        smallest = {bound: float(euclidean[regularizer, bound]) for bound in ("paper", "certificate", "attraction")}
        parts.append(f"{regularizer} {' / '.join(f'{strength:.3g}' for strength in smallest.values())}")
        gains.append(smallest["paper"] / smallest["certificate"] if smallest["certificate"] < np.inf else math.nan)
    return {
        "id": "C1f",
        "statement": "The certificate holds for regularizers at least as weak as the bound of section 5.1 certifies.",
        "source": "a sharpening of the contraction",
        "quantity": "smallest strength certified by section 5.1 / by the certificate, smaller of both regularizers",
        "estimate": _exactly(float(np.min(gains))),
        "expected": (1.0 - tolerance, math.inf),
        "how": f"bisection at eta = 1 / strength, Euclidean mirror map; smallest strength by section 5.1 / "
        f"certificate / attraction to the computed equilibrium: {'; '.join(parts)}",
    }


def _td_rate(rows: pd.DataFrame, tolerance: float, confidence: float) -> Claim:
    largest = rows[rows["n_agents"] == rows["n_agents"].max()]
    waiting = largest.groupby("n_waiting")["replicate"].nunique().idxmax()
    largest = largest[
        (largest["n_waiting"] == waiting) & (FITTED_FACTOR * largest["n_updates"] >= largest["n_updates"].max())
    ]
    updates, errors = _replicates(largest, "n_updates", "error")
    slope = statistics.slope_interval(updates, errors, _generator(rows, "C3"), confidence, paired=True)
    expected = (-0.5 - tolerance, -0.5 + tolerance)
    return {
        "id": "C3",
        "statement": "The error of conditional TD learning falls as M_td^(-1/2).",
        "source": "Theorem 4.2",
        "quantity": "slope of log E||Q_M - Q||_inf against log M_td",
        "estimate": slope,
        "expected": expected,
        "how": f"{len(errors[0])} runs, each measured at all M_td, N = {largest['n_agents'].iloc[0]:.0e}, "
        f"M_mix = {waiting}, M_td from {updates[0]:.0f} to {updates[-1]:.0f}; bootstrap over replicates",
        "too_small": _settled(
            rows,
            "C3",
            slope,
            expected,
            tolerance,
            -0.5,
            lambda rng, f: statistics.slope_interval(updates, errors, rng, confidence, paired=True, slope=f),
        ),
    }


def _mixing(rows: pd.DataFrame, tolerance: float, confidence: float) -> Claim:
    last = rows[(rows["n_updates"] == rows["n_updates"].max()) & np.isfinite(rows["n_waiting"])]
    fitted = last[(last["n_waiting"] >= 1) & (last["mixing_bias"] >= ROUNDED_BIAS)]
    rate, bound = float(rows["forgetting_rate"].iloc[0]), float(rows["L_pop"].iloc[0])
    measured, late = math.nan, math.nan
    if len(fitted) >= 3 and 0.0 < rate < 1.0:
        fitted = fitted.sort_values("n_waiting")
        measured = float(np.polyfit(fitted["n_waiting"], np.log(fitted["mixing_bias"]), 1)[0])
        late = float(np.polyfit(fitted["n_waiting"].iloc[-2:], np.log(fitted["mixing_bias"].iloc[-2:]), 1)[0])
    bent = abs(late - measured) > tolerance * abs(math.log(rate)) if 0.0 < rate < 1.0 else False
    values = last.set_index("n_waiting")["mixing_bias"]
    return {
        "id": "C3-mixing",
        "statement": "The bias from waiting M_mix steps only falls geometrically, at the rate of the learner's chain.",
        "source": "Theorem 4.2 (its term in M_mix, with the exact rate)",
        "quantity": "slope of log ||E Q_M - E Q_M of independent samples||_inf against M_mix / log |lambda_2|",
        "estimate": _exactly(measured / math.log(rate) if math.isfinite(measured) else math.nan),
        "expected": (1.0 - tolerance, 1.0 + tolerance),
        "how": f"exact moments at M_td = {int(last['n_updates'].iloc[0])}, infinitely many agents, {len(fitted)} "
        f"M_mix from {fitted['n_waiting'].min():.0f} to {fitted['n_waiting'].max():.0f}; fitted rate "
        f"{math.exp(measured):.4g}, |lambda_2| = {rate:.4g}, the theory's L_pop = {bound:.4g}; without waiting the "
        f"bias is {values.iloc[0]:.3g}, and the root mean square error {math.sqrt(last['mean_square'].iloc[0]):.3g}",
        "too_small": f"between the last two M_mix the rate is {math.exp(late):.3g}, the slope not yet constant"
        if bent and abs(measured / math.log(rate) - 1.0) > tolerance
        else "",
    }


def _floor_shares(rows: pd.DataFrame) -> tuple[list[int], list[np.ndarray], list[float]]:
    """Return N, each replicate's error along the predicted one in units of it, and the predicted one's l2 norm."""
    populations, shares, norms = [], [], []
    for n_agents in sorted(set(rows["n_agents"])):
        group = rows[rows["n_agents"] == n_agents]
        squares = float((group[group["replicate"] == group["replicate"].iloc[0]]["predicted_q_error"] ** 2).sum())
        products = (group["q_error"] * group["predicted_q_error"]).groupby(group["replicate"]).sum()
        populations.append(int(n_agents))
        shares.append(products.to_numpy() / squares)
        norms.append(math.sqrt(squares))
    return populations, shares, norms


def _floor(rows: pd.DataFrame, tolerance: float, confidence: float) -> Claim:
    rows, moments = rows[rows["replicate"].notna()], rows[rows["replicate"].isna()]
    populations, shares, _ = _floor_shares(rows)
    estimate = statistics.mean_interval(shares[0], _generator(rows, "C3-floor"), confidence)
    expected = (1.0 - tolerance, 1.0 + tolerance)
    # without noise and fluctuations the error is what is left of the start, and falls as 1 / M_td at least
    exact = moments[moments["n_waiting"] == rows["n_waiting"].iloc[0]].sort_values("n_updates").tail(1)
    left = float((exact["mean_error"] * exact["n_updates"]).sum()) / int(rows["n_updates"].max())
    largest = float(rows[rows["n_agents"] == populations[0]]["predicted_q_error"].abs().max())
    refuted = verdict((estimate.low, estimate.high), expected) == "not confirmed"
    return {
        "id": "C3-floor",
        "statement": "With many updates the error of TD learning in a small population tends to its predicted limit.",
        "source": "Theorem 4.2 (its term in N, with the limit itself)",
        "quantity": "mean error of Q along the predicted one / predicted",
        "estimate": estimate,
        "expected": expected,
        "how": f"N = {populations[0]}, M_td = {int(rows['n_updates'].max())}, {len(shares[0])} runs; largest predicted "
        f"error of an entry {largest:.3g}; no free parameter",
        "too_small": f"of the start of learning up to {left:.2g} is left after so many updates"
        if refuted and left > tolerance * largest
        else "",
    }


def _floor_rate(rows: pd.DataFrame, tolerance: float, confidence: float) -> Claim:
    points = [
        point
        for point in zip(*_floor_shares(rows), strict=True)
        if point[1].mean() > FLOOR_STANDARD_ERRORS * point[1].std(ddof=1) / math.sqrt(len(point[1]))
    ]
    estimate, predicted, populations = _exactly(math.nan), math.nan, [float(point[0]) for point in points]
    if len(points) >= 2:
        predicted = statistics.log_log_slope(populations, [point[2] for point in points])
        groups = [share * norm for _, share, norm in points]
        rng = _generator(rows, "C3-floor-rate")
        slope = statistics.slope_interval(populations, groups, rng, confidence)
        estimate = Estimate(slope.value - predicted, slope.low - predicted, slope.high - predicted)
    return {
        "id": "C3-floor-rate",
        "statement": "The floor of the TD error falls with N as the predicted limit does.",
        "source": "Theorem 4.2 (its term in N, with the limit itself)",
        "quantity": "slope of log floor against log N, minus that of the predicted floor",
        "estimate": estimate,
        "expected": (-tolerance, tolerance),
        "how": f"N = {', '.join(f'{n:g}' for n in populations) or 'none'}, where the floor exceeds "
        f"{FLOOR_STANDARD_ERRORS:g} standard errors; predicted slope {predicted:.4g}",
    }


def _final(rows: pd.DataFrame) -> pd.DataFrame:
    return rows[rows["epoch"] == rows["n_epochs"]]


def _samples_slope(rows: pd.DataFrame, tolerance: float, confidence: float) -> Claim:
    final = _final(rows)
    epsilons, errors = _replicates(final, "epsilon", "error")
    # samples without the log^2 factor K (M_mix + 1), which the claim's O~ hides
    samples = [float(final[final["epsilon"] == epsilon]["n_updates"].iloc[0]) for epsilon in epsilons]

    def slope(groups: Any, of: Callable[..., float] = statistics.log_log_slope) -> float:
        return of([1.0 / float(np.mean(group)) for group in groups], samples)

    estimate = statistics.bootstrap(errors, slope, _generator(rows, "C4"), confidence)
    expected = (0.0, 2.0 + tolerance)
    return {
        "id": "C4",
        "statement": "Centralized learning needs at most O~(epsilon^-2) samples of one trajectory.",
        "source": "Theorem 4.3",
        "quantity": "slope of log(samples / (K (M_mix + 1))) against log(1 / achieved error)",
        "estimate": estimate,
        "expected": expected,
        "too_small": _settled(
            rows,
            "C4",
            estimate,
            expected,
            tolerance,
            -1.0,
            lambda rng, f: statistics.bootstrap(errors, partial(slope, of=f), rng, confidence),
        ),
        "how": f"{len(errors[0])} replicates at each of {len(epsilons)} accuracies from {max(epsilons)} to "
        f"{min(epsilons)}, N = {rows['n_agents'].iloc[0]:.0e}, tuned constants; at slope 2 the bound is tight",
    }


def _accuracy(rows: pd.DataFrame, tolerance: float, confidence: float) -> Claim:
    epsilons, errors = _replicates(_final(rows), "epsilon", "error")
    worst = max(range(len(epsilons)), key=lambda i: float(errors[i].mean()) / epsilons[i])
    shares = errors[worst] / epsilons[worst]
    estimate = statistics.mean_interval(shares, _generator(rows, "C4-accuracy"), confidence)
    expected = (0.0, 1.0 + tolerance)
    too_small = ""
    if verdict((estimate.low, estimate.high), expected) == "not confirmed":
        # an error of a fixed number of epsilons is what constants that are too small give; the orders fail if it grows
        inverse, groups = (
            [1.0 / epsilon for epsilon in epsilons],
            [e / x for e, x in zip(errors, epsilons, strict=True)],
        )
        growth = _exactly(math.nan)
        if len(epsilons) > 1:
            growth = statistics.slope_interval(inverse, groups, _generator(rows, "C4-accuracy growth"), confidence)
        if not growth.low > 0.0:
            too_small = "the tuned constants are, for error / epsilon does not grow as epsilon falls"
    return {
        "id": "C4-accuracy",
        "statement": "With K, M_mix = O(log 1/epsilon) and M_td = O(epsilon^-2), the error is below epsilon.",
        "source": "Theorem 4.3",
        "quantity": "largest mean error / epsilon",
        "estimate": estimate,
        "expected": expected,
        "too_small": too_small,
        "how": f"worst accuracy of the sweep, epsilon = {epsilons[worst]}; tuned constants, not the theorem's",
    }


def _prescribed(rows: pd.DataFrame, tolerance: float, confidence: float) -> Claim:
    epsilons, errors = _replicates(_final(rows), "epsilon", "error")
    worst = max(range(len(epsilons)), key=lambda i: float(errors[i].mean()) / epsilons[i])
    samples = _final(rows).groupby("epsilon")["samples"].first()
    costs = ", ".join(f"{samples[epsilon]:.3g} for {epsilon:g}" for epsilon in epsilons)
    shares = ", ".join(f"{group.mean() / epsilon:.3g}" for epsilon, group in zip(epsilons, errors, strict=True))
    start = float(rows[rows["epoch"] == 0]["error"].max())
    trivial = ", ".join(f"{epsilon:g}" for epsilon in epsilons if epsilon >= start)
    return {
        "id": "C4-prescribed",
        "statement": "Run exactly as the theorem prescribes, centralized learning has an error of at most epsilon.",
        "source": "Theorem 4.3 (with the constants of Theorem 10.5 of docs/theory.md)",
        "quantity": "largest mean error / epsilon",
        "estimate": statistics.mean_interval(
            errors[worst] / epsilons[worst], _generator(rows, "C4-prescribed"), confidence
        ),
        "expected": (0.0, 1.0 + tolerance),
        "how": f"{len(errors[0])} replicates, N = {rows['n_agents'].iloc[0]:.0e}; samples {costs}; mean error / "
        f"epsilon {shares}; the start is {start:.3g} away"
        f"{f', so that nothing need be learned for epsilon = {trivial}' if trivial else ''}",
    }


def _conservative(rows: pd.DataFrame, tolerance: float, confidence: float) -> Claim:
    final = _final(rows)
    tuned, theorem = (final[final["schedule"] == kind] for kind in ("tuned", "theorem"))
    targets, errors = _replicates(tuned, "epsilon", "error")
    costs = [float(tuned[tuned["epsilon"] == target]["samples"].iloc[0]) for target in targets]
    accuracies, reached = _replicates(theorem, "epsilon", "error")
    epsilon, achieved = accuracies[0], float(reached[0].mean())
    prescribed = float(theorem[theorem["epsilon"] == epsilon]["samples"].iloc[0])

    def factor(groups: Any, error: float = epsilon) -> float:
        """Return the theorem's samples over those of the line through the tuned runs, samples against error."""
        line = np.polyfit(np.log([np.mean(group) for group in groups]), np.log(costs), 1)
        return prescribed / float(np.exp(np.polyval(line, math.log(error))))

    return {
        "id": "C4-conservative",
        "statement": "The theorem's constants ask for more samples than are needed.",
        "source": "Theorem 4.3 (the price of a proof)",
        "quantity": "samples that the theorem prescribes / samples at which the tuned rule has the mean error epsilon",
        "estimate": statistics.bootstrap(errors, factor, _generator(rows, "C4-conservative"), confidence),
        "expected": (1.0 - tolerance, math.inf),
        "how": f"epsilon = {epsilon:g}, {prescribed:.3g} samples; the tuned rule's samples on the line through "
        f"{len(targets)} accuracies; for the error that the prescribed runs had, {achieved:.3g}, the factor is "
        f"{factor(errors, achieved):.3g}",
    }


def _bias_groups(rows: pd.DataFrame, standard_errors: float) -> tuple[list[int], list[np.ndarray]]:
    """Return the N whose bias is this many standard errors or more, and their Q errors, shape (replicates, S A)."""
    populations, groups = [], []
    for n_agents in sorted(set(rows["n_agents"])):
        group = rows[rows["n_agents"] == n_agents]
        errors = group.pivot(index="replicate", columns=["state", "action"], values="q_error").to_numpy()
        standard_error = errors.std(axis=0, ddof=1).max() / np.sqrt(len(errors))
        if _largest_mean(errors) > standard_errors * standard_error:
            populations.append(int(n_agents))
            groups.append(errors)
    return populations, groups


def _largest_mean(errors: np.ndarray) -> float:
    """Return the bias, max over (s, a) of |mean over replicates|."""
    return float(np.abs(errors.mean(axis=0)).max())


def _kinked(rows: pd.DataFrame) -> bool:
    """Whether the closed form predicts a bias of order 1/sqrt(N) rather than 1/N: its own slope, nearer to -1/2."""
    largest = rows["predicted_q_error"].abs().groupby(rows["n_agents"]).max()
    return statistics.log_log_slope(list(largest.index), list(largest)) > -0.75


def _bias_slope(rows: pd.DataFrame, tolerance: float, confidence: float) -> Claim:
    populations, groups = _bias_groups(rows, FLOOR_STANDARD_ERRORS)
    kinked = _kinked(rows)
    slope = -0.5 if kinked else -1.0
    estimate, too_small = _exactly(math.nan), ""
    expected = (slope - tolerance, slope + tolerance)
    if len(populations) >= 3:
        rng = _generator(rows, "C6-slope")
        estimate = statistics.slope_interval(populations, groups, rng, confidence, _largest_mean)
        too_small = _settled(
            rows,
            "C6-slope",
            estimate,
            expected,
            tolerance,
            slope,  # smooth: c / N + O(1 / N^2); kinked: c / sqrt(N) + O(1 / N)
            lambda rng, f: statistics.slope_interval(populations, groups, rng, confidence, _largest_mean, slope=f),
        )
    order = "1/sqrt(N) when R has a kink at the equilibrium" if kinked else "1/N when R and P are smooth"
    return {
        "id": "C6-kinked" if kinked else "C6-smooth",
        "statement": f"The bias of what is learned from N agents is of order {order}.",
        "source": "Theorem 4.2 (the paper's O(1/sqrt(N)) is tight with a kink, and not without)",
        "quantity": "slope of log max_(s,a) |bias of Q| against log N",
        "estimate": estimate,
        "expected": expected,
        "too_small": too_small,
        "how": f"limit of TD learning by ergodic averages; {len(populations)} of {rows['n_agents'].nunique()} "
        f"population sizes lie above the Monte Carlo floor of {FLOOR_STANDARD_ERRORS:g} standard errors",
    }


def _deviation_constant(rows: pd.DataFrame, tolerance: float, confidence: float) -> Claim:
    largest = rows[rows["n_agents"] == rows["n_agents"].max()].drop_duplicates("replicate")
    ratios = (largest["deviation"] / largest["predicted_deviation"]).to_numpy()
    means = rows.assign(ratio=rows["deviation"] / rows["predicted_deviation"]).groupby("n_agents")["ratio"].mean()
    estimate = statistics.mean_interval(ratios, _generator(rows, "C6-deviation"), confidence)
    expected = (1.0 - tolerance, 1.0 + tolerance)
    refuted = verdict((estimate.low, estimate.high), expected) == "not confirmed"
    return {
        "id": "C6-deviation",
        "statement": "sqrt(N) E||mu_hat - mu_pi||_1 tends to the constant of the discrete Lyapunov equation.",
        "source": "the mean-field error O(1/sqrt(N)) of Theorems 4.2 to 4.5, with its constant",
        "quantity": "measured / predicted",
        "estimate": estimate,
        "expected": expected,
        "too_small": _few_agents(list(means.index), list(means), tolerance) if refuted else "",
        "how": f"{len(ratios)} trajectories at N = {int(largest['n_agents'].iloc[0])}; no free parameter",
    }


def _bias_constant(rows: pd.DataFrame, tolerance: float, confidence: float) -> Claim:
    # the largest N at which the Monte Carlo error leaves room for a verdict: a quarter of the tolerance
    populations, groups = _bias_groups(rows, 4.0 / tolerance)
    estimate, too_small = _exactly(math.nan), ""
    expected = (1.0 - tolerance, 1.0 + tolerance)
    if populations:
        limits = rows["predicted_q_error"].abs().groupby(rows["n_agents"]).max()
        predicted = float(limits[populations[-1]])
        rng = _generator(rows, "C6-constant")
        estimate = statistics.bootstrap(groups[-1:], lambda drawn: _largest_mean(drawn[0]) / predicted, rng, confidence)
        if verdict((estimate.low, estimate.high), expected) == "not confirmed":
            ratios = [_largest_mean(group) / float(limits[n]) for n, group in zip(populations, groups, strict=True)]
            too_small = _few_agents(populations, ratios, tolerance)
    return {
        "id": "C6-constant",
        "statement": "The bias of what is learned from N agents has the constant of the Gaussian closed form.",
        "source": "the O(1/sqrt(N)) term of Theorem 4.2, with its constant",
        "quantity": "measured / predicted bias",
        "estimate": estimate,
        "expected": expected,
        "too_small": too_small,
        "how": f"at N = {populations[-1]}, the largest measured well enough; no free parameter"
        if populations
        else "at no N is the bias measured well enough",
    }


def _agreement(rows: pd.DataFrame, tolerance: float, confidence: float) -> Claim:
    scores = ((rows["simulated"] - rows["exact"]) / rows["standard_error"]).abs()
    alarm = sum(2.0 * stdtr(n - 1, -AGREEMENT_STANDARD_ERRORS) for n in rows["n_replicates"])
    return {
        "id": "C3-exact",
        "statement": "The simulated limit of conditional TD learning is the one of the exact N-agent game.",
        "source": "Theorem 4.2 (what learning converges to with N agents)",
        "quantity": "largest |simulated - exact| / standard error, over N",
        "estimate": _exactly(float(scores.max())),
        "expected": (0.0, AGREEMENT_STANDARD_ERRORS + tolerance),
        "how": f"one projection of Q per N, drawn before the simulation; N = {', '.join(map(str, rows['n_agents']))}; "
        f"{rows['n_replicates'].min()} replicates; a correct simulation fails with probability {alarm:.1g} at most, by "
        "Student's law and the union over N",
    }


def _gaps(rows: pd.DataFrame, variant: str) -> tuple[list[float], list[float]]:
    """Return the upper end of the populations, and the exact Nash gap in one variant at each."""
    shown = rows[(rows["variant"] == variant) & (rows["n_agents"] * GAP_DECADES >= rows["n_agents"].max())]
    return list(shown["n_agents"].astype(float)), list(shown["gap"])


def _gap_slope(
    rows: pd.DataFrame, variant: str, expected: tuple[float, float], tolerance: float
) -> tuple[float, str, str]:
    """Return the slope of the exact Nash gap in one variant against N, the range, and why it is not judged."""
    populations, gaps = _gaps(rows, variant)
    if len(populations) < 3:
        return math.nan, "fewer than three N", ""
    slope = statistics.log_log_slope(populations, gaps)
    # the next term is smaller by the size of the fluctuations, 1 / sqrt(N), or by more
    too_small = _settled(
        rows, "C7", _exactly(slope), expected, tolerance, -0.5, lambda _, f: _exactly(f(populations, gaps))
    )
    return slope, f"{len(populations)} N from {populations[0]:g} to {populations[-1]:g}", too_small


def _gap_bound(rows: pd.DataFrame, tolerance: float, confidence: float) -> Claim:
    expected = (-math.inf, -0.5 + tolerance)
    slopes = {variant: _gap_slope(rows, variant, expected, tolerance) for variant in ("regularized", "indifferent")}
    each = ", ".join(f"{variant} {slope:.4f}" for variant, (slope, *_) in slopes.items())
    return {
        "id": "C7",
        "statement": "The mean field equilibrium is an O(1/sqrt(N))-Nash equilibrium of the N-agent game.",
        "source": "the approximate Nash property",
        "quantity": "larger slope of log(gain of a deviator who sees all counts) against log N, of two games",
        "estimate": _exactly(float(np.max([slope for slope, *_ in slopes.values()]))),
        "expected": expected,
        "too_small": next((why for *_, why in slopes.values() if why), ""),
        "how": f"exact, no sampling; {slopes['regularized'][1]}; slopes: {each}",
    }


def _gap_order(rows: pd.DataFrame, tolerance: float, confidence: float) -> Claim:
    expected = (-1.0 - tolerance, -1.0 + tolerance)
    slope, span, too_small = _gap_slope(rows, "regularized", expected, tolerance)
    return {
        "id": "C7-order",
        "statement": "With a regularizer even a deviator who sees all counts gains O(1/N) only: the bound is loose.",
        "source": "the approximate Nash property, sharpened",
        "quantity": "slope of log gain against log N",
        "estimate": _exactly(slope),
        "expected": expected,
        "too_small": too_small,
        "how": f"exact, no sampling; {span}",
    }


def _gap_tight(rows: pd.DataFrame, tolerance: float, confidence: float) -> Claim:
    expected = (-0.5 - tolerance, -0.5 + tolerance)
    slope, span, too_small = _gap_slope(rows, "indifferent", expected, tolerance)
    return {
        "id": "C7-tight",
        "statement": "Without a regularizer, where all actions are equally good, the gain is of order 1/sqrt(N), for a "
        "deviator who sees all counts.",
        "source": "the approximate Nash property (tight for deviators who see the counts)",
        "quantity": "slope of log gain against log N",
        "estimate": _exactly(slope),
        "expected": expected,
        "too_small": too_small,
        "how": f"exact, no sampling; the regularizer paid out as a reward, linearized at the equilibrium; {span}",
    }


def _gap_constant(rows: pd.DataFrame, tolerance: float, confidence: float) -> Claim:
    largest = rows[(rows["n_agents"] == rows["n_agents"].max()) & rows["predicted"].notna()]
    errors = (largest["gap"] / largest["predicted"] - 1.0).abs()
    too_small = ""
    if len(errors):
        variant = largest.loc[errors.idxmax(), "variant"]
        known = rows[(rows["variant"] == variant) & rows["predicted"].notna()].sort_values("n_agents")
        too_small = _few_agents(list(known["n_agents"]), list(known["gap"] / known["predicted"]), tolerance)
    return {
        "id": "C7-constant",
        "statement": "The gain of a deviator has the constant of its Gaussian limit.",
        "source": "the approximate Nash property, with its constant",
        "quantity": "largest relative error of the prediction, with and without a regularizer",
        "estimate": _exactly(float(errors.max()) if len(errors) else math.nan),
        "expected": (0.0, tolerance),
        "too_small": too_small,
        "how": f"exact at N = {rows['n_agents'].max()}; no free parameter",
    }


def _independent_samples(rows: pd.DataFrame, tolerance: float, confidence: float) -> Claim:
    claim = _samples_slope(rows, tolerance, confidence)
    return claim | {
        "id": "C5",
        "statement": "Independent learners need at most O~(epsilon^-2) samples of their one trajectory.",
        "source": "Theorem 4.5",
        "quantity": "slope of log(samples / (K (M_mix + 1))) against log(1 / mean error of the agents)",
    }


def _excess_of_few(rows: pd.DataFrame, n_agents: float) -> float:
    """Return by which share the spread of so many agents exceeds that of many, for the noise of a finite population.

    The fluctuations of the mean field add a variance of order 1/N to that of every agent's estimate: the square of the
    spread is A (1 + b/N), fitted to the sweep over populations. Infinite where this says nothing, nan without a sweep.
    """
    final = _final_of(rows, "populations")
    squares = final.groupby("n_agents")["spread"].mean() ** 2
    if len(squares) < 2:
        return math.nan
    slope, limit = np.polyfit(1.0 / squares.index.to_numpy(float), squares.to_numpy(), 1)
    return math.sqrt(max(1.0 + slope / (limit * n_agents), 0.0)) - 1.0 if limit > 0.0 else math.inf


def _final_of(rows: pd.DataFrame, sweep: str) -> pd.DataFrame:
    return _final(rows[rows["sweep"] == sweep])


def _independent_updates(rows: pd.DataFrame, tolerance: float, confidence: float) -> Claim:
    updates, groups = _replicates(_final_of(rows, "updates"), "n_updates", "error")
    updates, groups = updates[-3:], groups[-3:]  # beyond the start-up of TD learning
    estimate, too_small = _exactly(math.nan), ""
    expected = (-0.5 - tolerance, -0.5 + tolerance)
    if len(updates) == 3:
        estimate = statistics.slope_interval(updates, groups, _generator(rows, "C5-updates"), confidence)
        too_small = _settled(
            rows,
            "C5-updates",
            estimate,
            expected,
            tolerance,
            -0.5,
            lambda rng, f: statistics.slope_interval(updates, groups, rng, confidence, slope=f),
        )
    return {
        "id": "C5-updates",
        "statement": "The error of a typical independent learner is O(M_td^-1/2).",
        "source": "Theorem 4.5",
        "quantity": "slope of log(mean error of the agents) against log M_td",
        "estimate": estimate,
        "expected": expected,
        "too_small": too_small,
        "how": f"the three largest M_td, {', '.join(f'{m:.0f}' for m in updates)}; bootstrap over runs",
    }


def _too_few(rows: pd.DataFrame, n_agents: float, tolerance: float) -> str:
    """Return why the spread of so many agents is not compared with its limit for many, in words, or nothing."""
    excess = _excess_of_few(rows, n_agents)
    if excess <= tolerance:
        return ""
    if math.isnan(excess):
        return "there is no other N to see whether so many agents are enough"
    return f"with {n_agents:g} agents the mean field's own noise adds {excess:.0%} to the spread"


def _independent_spread(rows: pd.DataFrame, tolerance: float, confidence: float) -> Claim:
    final = _final_of(rows, "updates")
    largest = final[final["n_updates"] == final["n_updates"].max()]
    estimate, too_small = _exactly(math.nan), ""
    expected = (1.0 - tolerance, 1.0 + tolerance)
    if len(largest):
        ratios = (largest["spread"] / largest["predicted_spread"]).to_numpy()
        estimate = statistics.mean_interval(ratios, _generator(rows, "C5-spread"), confidence)
        if verdict((estimate.low, estimate.high), expected) == "not confirmed":
            too_small = _too_few(rows, float(largest["n_agents"].iloc[0]), tolerance)
    return {
        "id": "C5-spread",
        "statement": "Independent learners disagree by what the noise of their estimates predicts, and no more.",
        "source": "Theorem 4.5 (sharpened by exact moments of TD learning)",
        "quantity": "measured / predicted mean distance to the mean policy",
        "estimate": estimate,
        "expected": expected,
        "too_small": too_small,
        "how": f"{len(largest)} runs of {rows['n_agents'].median():.0f} agents at the largest M_td; no free parameter",
    }


def _independent_step(rows: pd.DataFrame, tolerance: float, confidence: float) -> Claim:
    sizes, groups = _replicates(_final_of(rows, "step_sizes"), "step_size", "spread")
    sizes, groups = sizes[:3], groups[:3]
    estimate, too_small = _exactly(math.nan), ""
    expected = (0.5 - tolerance, 0.5 + tolerance)
    if len(sizes) == 3:
        estimate = statistics.slope_interval(sizes, groups, _generator(rows, "C5-eta"), confidence)
        predicted = _final_of(rows, "step_sizes").groupby("step_size")["predicted_spread"].mean().loc[sizes]
        limit = statistics.log_log_slope(sizes, list(predicted))
        refuted = verdict((estimate.low, estimate.high), expected) == "not confirmed"
        if refuted and not expected[0] <= limit <= expected[1]:
            too_small = f"at these step sizes and epochs the prediction itself has the slope {limit:.3g}"
    return {
        "id": "C5-eta",
        "statement": "Small steps damp disagreement: the spread falls like the square root of the step size.",
        "source": "our sharpening of Theorem 4.5",
        "quantity": "slope of log(spread) against log(eta)",
        "estimate": estimate,
        "expected": expected,
        "too_small": too_small,
        "how": f"the three smallest step sizes, {', '.join(f'{size:g}' for size in sizes)}, at equal samples",
    }


def _independent_worst(rows: pd.DataFrame, tolerance: float, confidence: float) -> Claim:
    final = _final_of(rows, "populations")
    allowed = final["predicted_deviation"] * np.sqrt(2.0 * np.log(final["n_agents"]))
    final = final.assign(share=(final["worst"] - final["error"]) / allowed)
    populations, groups = _replicates(final, "n_agents", "share")
    estimate, too_small = _exactly(math.nan), ""
    expected = (0.0, 1.0 + tolerance)
    if populations:
        worst = max(range(len(groups)), key=lambda i: float(groups[i].mean()))
        estimate = statistics.mean_interval(groups[worst], _generator(rows, "C5-worst"), confidence)
        if verdict((estimate.low, estimate.high), expected) == "not confirmed":
            too_small = _too_few(rows, populations[worst], tolerance)
    return {
        "id": "C5-worst",
        "statement": "The worst of N independent learners exceeds the typical one by O(sqrt(log N)) only.",
        "source": "our sharpening of Theorem 4.5",
        "quantity": "largest (worst - mean error) / (sigma sqrt(2 log N)), sigma predicted",
        "estimate": estimate,
        "expected": expected,
        "too_small": too_small,
        "how": f"N = {', '.join(f'{n:.0f}' for n in populations)}; the value at the worst of them",
    }


def _no_generative_model(rows: pd.DataFrame, tolerance: float, confidence: float) -> Claim:
    runs, points = rows[rows["replicate"].notna()], rows[rows["unit"] == "range"]
    first, third, last = _three(runs["samples"])
    runs = runs[runs["method"] == "pma"].sort_values("replicate")
    learned, before = (runs.loc[runs["samples"] == at, "exploitability"].to_numpy() for at in (last, third))
    smallest = float(points["accuracy"].min())
    estimate = statistics.mean_interval(learned, _generator(rows, "C8"), confidence)
    if at_start := bool((runs.loc[runs["samples"] == first, "exploitability"] <= smallest).any()):
        estimate = _exactly(math.nan)
    too_small = ""
    if verdict((estimate.low, estimate.high), (0.0, smallest)) == "not confirmed" and third < last:
        fall = np.log(learned / before) / math.log(last / third)
        slope = statistics.mean_interval(fall, _generator(rows, "C8 fall"), confidence)
        if not slope.low > -0.5:
            too_small = (
                f"from {third:,} samples to the end exploitability falls as samples^{slope.value:.2g}, and "
                "perhaps no more slowly than the theorem's -1/2"
            )
    told = []
    for accuracy, at in points.groupby("accuracy", sort=False):
        at = at.set_index("method")
        needed, (ratio, best) = float(at["samples"]["pma"]), _over_best(at)
        others = at["samples"].drop("pma").astype(float)
        text = f"{_thousands(needed)} samples" if math.isfinite(needed) else "not reached"
        if math.isfinite(ratio):
            text += f", {ratio:.2g} times those of {METHODS[best]}"
        elif math.isfinite(others[best]):
            text += f"; {METHODS[best]} {_thousands(float(others[best]))}"
        else:
            text += "; no other method reaches it"
        told.append(f"{accuracy:g}: {text}")
    return {
        "id": "C8",
        "statement": "PMA learns the equilibrium on one trajectory, without a generative model.",
        "source": "section 4, contribution",
        "quantity": "mean exploitability (regularized) of PMA at the end of the budget, in units of the rewards' range",
        "estimate": estimate,
        "expected": (0.0, smallest),
        "too_small": too_small,
        "how": "the policy that all start from is an equilibrium, so that nothing is tested"
        if at_start
        else f"{len(learned)} runs of {last:,} samples, tuned as all methods are; samples to {'; to '.join(told)}",
    }


def _atlas_bounds(rows: pd.DataFrame, tolerance: float, confidence: float) -> Claim:
    bounds = rows[["paper_bound", "certificate", "attraction"]]
    tested = rows[np.isfinite(bounds.min(axis=1)) & rows["spectral_radius"].notna()]
    loose = []
    for name, bound in (("section 5.1", "paper_bound"), ("certificate", "certificate"), ("attraction", "attraction")):
        factors = (tested[bound] / tested["spectral_radius"])[np.isfinite(tested[bound])]
        if len(factors):
            loose.append(f"{name} {factors.median():.3g} ({len(factors)} games)")
    return {
        "id": "C1b-atlas",
        "statement": "In no generated game does the spectral radius at the equilibrium exceed a bound.",
        "source": "Proposition on the contraction of Gamma_eta (with our sharper certificates)",
        "quantity": "largest spectral radius / smallest bound, over the games of a grid",
        "estimate": _exactly(float((tested["spectral_radius"] / bounds.min(axis=1)).max())),
        "expected": (0.0, 1.0 + tolerance),
        "how": f"{len(tested)} of {len(rows)} games with a finite bound and a derivative at the equilibrium; median of "
        f"bound / spectral radius where finite: {', '.join(loose) or 'none'}",
    }


def _atlas_convergence(rows: pd.DataFrame, tolerance: float, confidence: float) -> Claim:
    paper, certificate, attraction = (rows[name] < 1.0 for name in ("paper_bound", "certificate", "attraction"))
    certified = paper | certificate | attraction
    everywhere = (rows["n_starts"] > 0) & (rows["n_converged"] == rows["n_starts"])
    kept = rows["solved"] & everywhere & (rows["n_certified_converged"] == rows["n_certified"])
    smooth = rows[rows["differentiable"]]
    local = "so that no rate is predicted"
    if len(smooth):
        contract, best = (_percent(smooth[radius] < 1.0) for radius in ("spectral_radius", "best_response_radius"))
        local = f"of which {contract} contract there, with best response {best}"
    return {
        "id": "C1d-atlas",
        "statement": "In every generated game with a bound below 1 an equilibrium is found, and PMA reaches it from "
        "every start.",
        "source": "Proposition on the contraction of Gamma_eta (with our sharper certificates)",
        "quantity": "share of certified games of a grid in which all runs converge",
        "estimate": _exactly(float(kept[certified].mean())),
        "expected": (1.0 - tolerance, 1.0),
        "how": f"{int(certified.sum())} of {len(rows)} games are certified: {_percent(paper)} by section 5.1, "
        f"{_percent(certificate)} by the certificate, {_percent(certificate | attraction)} with the attraction to the "
        f"computed equilibrium; {len(smooth)} games have a derivative at the equilibrium found, {local}; "
        f"PMA converges from every start in {_percent(everywhere)}; unsolved: {int((~rows['solved']).sum())}",
    }


def _percent(chosen: pd.Series) -> str:
    return f"{100.0 * chosen.mean():.3g} %"


def _atlas_rate(rows: pd.DataFrame, tolerance: float, confidence: float) -> Claim:
    fitted = rows[rows["observed_rate"].notna() & (rows["spectral_radius"] < 1.0)]
    excess = fitted["observed_rate"] / fitted["spectral_radius"] - 1.0
    how = f"{len(fitted)} of {len(rows)} games with enough iterates near a differentiable equilibrium"
    if len(fitted):
        how += (
            f"; in {_percent(excess.abs() <= tolerance)} of them the rates agree to {tolerance:g}, in the others "
            "the starts may miss the slowest mode, or a complex pair of eigenvalues swing about it"
        )
    return {
        "id": "C1c-atlas",
        "statement": "In the end PMA is nowhere slower than the spectral radius of its Jacobian.",
        "source": "Proposition on the contraction of Gamma_eta (sharpened by the exact Jacobian)",
        "quantity": "largest (rate of the slowest start / spectral radius - 1) over the games of a grid",
        "estimate": _exactly(float(excess.max())),
        "expected": (-math.inf, tolerance),
        "how": how,
    }


def _atlas_bias(rows: pd.DataFrame, tolerance: float, confidence: float) -> Claim:
    measured = rows[rows["bias_error"] > 0.0]
    estimate, highest = _exactly(math.nan), math.inf
    how = f"in none of {len(rows)} games is there a bias to measure"
    if len(measured):
        freedom = int(measured["n_replicates"].iloc[0]) - 1
        highest = float(stdtrit(freedom, 1.0 - 0.5 * FALSE_ALARM / len(measured)))
        quantile = float(stdtrit(freedom, 0.5 * (1.0 + confidence)))
        ratios = measured["bias_ratio"]
        scores = (ratios - 1.0).abs() / measured["bias_error"]
        estimate = _exactly(float(scores.max()))
        how = (
            f"bias along the predicted one, measured / predicted, in {len(measured)} of {len(rows)} games: median "
            f"{ratios.median():.4g}, from {ratios.min():.3g} to {ratios.max():.3g}, median standard error "
            f"{measured['bias_error'].median():.2g}; {_percent(scores > quantile)} of the {100 * confidence:g} % "
            "intervals miss 1; by Student's law and the union over the games a correct prediction fails with "
            f"probability {FALSE_ALARM:g} at most"
        )
    return {
        "id": "C6-atlas",
        "statement": "In every generated game the bias of what is learned has the constant of the closed form.",
        "source": "the O(1/sqrt(N)) term of Theorem 4.2, with its constant",
        "quantity": "largest |measured / predicted - 1| / standard error over the games of a grid",
        "estimate": estimate,
        "expected": (0.0, highest + tolerance),
        "how": how,
    }


def _atlas_learning(rows: pd.DataFrame, tolerance: float, confidence: float) -> Claim:
    learned = rows[rows["learned_error"].notna()]
    asked = learned[learned["start_error"] > learned["epsilon"]]
    ratios = asked["learned_exploitability"] / asked["start_exploitability"]
    how = f"{len(learned)} of {len(rows)} games are learned (of the others the schedule is too long, or none exists)"
    if len(asked):
        how += (
            f", {len(asked)} of them from further away than epsilon = {asked['epsilon'].iloc[0]:g}; exploitability "
            f"(regularized) falls to {100.0 * ratios.median():.3g} % of its start (median; worst "
            f"{100.0 * ratios.max():.3g} %), and {_percent(asked['learned_error'] <= asked['epsilon'])} end within "
            "epsilon of the equilibrium"
        )
    return {
        "id": "C4-atlas",
        "statement": "Where it can be afforded, one schedule for all games ends at a less exploitable policy than it "
        "starts from.",
        "source": "Theorem 4.3",
        "quantity": "share of such games of a grid, of those that start further from the equilibrium than epsilon",
        "estimate": _exactly(float((ratios < 1.0).mean()) if len(ratios) else math.nan),
        "expected": (1.0 - tolerance, 1.0),
        "how": how,
    }
