"""What is judged on how samples to an accuracy grow with a game: from a table to verdicts, and to a table for readers.

docs/theory, sections 10.15 and 12.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from pma_replication import statistics
from pma_replication.experiments.scaling.lines import QUANTITIES
from pma_replication.judging import Claim, Rival, bootstrap_generator, compare, titled_table
from pma_replication.statistics import Estimate

#: How far the rival's exponent is off.
HALF = 0.5

#: Between the M_td of a game the error is taken to fall with an exponent in this range, whose ends C3 rejects: noise
#: cannot turn a line through two points that lie close together.
EXPONENTS = (-1.0, -0.25)

#: The exponent of noise, where a game has one M_td.
NOISE = -0.5

#: TD learning is past its start after this many c updates: steps are then near c / m (docs/theory, section 12.1).
SETTLED = 5.0

#: Columns that may move along a line -> what they are called.
MOVING = {
    "n_states": "S",
    "n_actions": "A",
    "horizon": "1/(1 − γ)",
    "inverse_action": "1/min π*",
    "inverse_state": "1/min μ*",
    "L_pop": "L_pop",
    "best_response_radius": "r(J_∞)",
    "radius": "r(J_η)",
}

#: What the table for readers says of itself.
TABLE = (
    "How samples to an accuracy grow along lines of games in which one quantity moves (docs/theory, section 10.15): "
    "exponents, that is slopes of log samples against the log of the quantity. *Measured*: centralized learning with "
    "K epochs, no waiting and the steps of docs/theory, section 10.6, with a bootstrap interval over replicates; "
    "*exact*: from the noise of TD learning without sampling, in the limit of small epsilon; *theorem*: samples of our "
    "Theorem 10.5 (the constants of the paper have not been seen), over the games that it certifies. Its p_inf and "
    "delta_mix are bounds on all policies that learning may meet, and move more than the equilibrium's own. *Also "
    "moves*: what else differs by more than a twentieth between games of the line."
)


def reading(rows: pd.DataFrame) -> Callable[[Sequence[np.ndarray]], list[float]]:
    """Return what reads the samples to the accuracy of each game off errors, by a log-log line over its M_td.

    Parameters
    ----------
    rows : DataFrame
        Of `measure.measure`, of one line.

    Returns
    -------
    callable
        From the errors of the replicates, in the order of `points`, to the samples in the order of `games_of`.
    """
    of_points = points(rows)
    places = [(of_points["value"] == value).to_numpy() for value in games_of(rows)["value"]]
    updates = np.log(of_points["n_updates"].to_numpy(float))
    log_epsilon, n_epochs = math.log(float(rows["epsilon"].iloc[0])), float(rows["n_epochs"].iloc[0])

    def read(groups: Sequence[np.ndarray]) -> list[float]:
        errors = np.log([float(group.mean()) for group in groups])
        found = []
        for chosen in places:
            centre, of_game = float(updates[chosen].mean()), errors[chosen]
            beside = updates[chosen] - centre
            slope = beside @ of_game / (beside @ beside) if len(beside) > 1 else NOISE
            exponent = float(np.clip(slope, *EXPONENTS))
            found.append(n_epochs * math.exp(centre + (log_epsilon - float(of_game.mean())) / exponent))
        return found

    return read


def samples_of(rows: pd.DataFrame) -> list[float]:
    """Return the samples to the accuracy of each game of a line, in the order of `games_of`."""
    return reading(rows)(replicates(rows))


def points(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the values and M_td of a line, each once, with what is known of each game."""
    return rows.drop_duplicates(["value", "n_updates"]).sort_values(["value", "n_updates"], ignore_index=True)


def replicates(rows: pd.DataFrame) -> list[np.ndarray]:
    """Return the errors of the replicates in the order of `points`."""
    return [group["error"].to_numpy(float) for _, group in rows.groupby(["value", "n_updates"], sort=True)]


def games_of(rows: pd.DataFrame) -> pd.DataFrame:
    """Return a row for each game of a line, in the order of `samples_of`."""
    return points(rows).drop_duplicates("value", ignore_index=True)


def quantity(rows: pd.DataFrame) -> str:
    """Return the column that samples of a line are fitted against."""
    return QUANTITIES[str(rows["along"].iloc[0])]


def exponent(rows: pd.DataFrame, samples: Sequence[float]) -> float:
    """Return the slope of log samples against the log of the line's quantity."""
    return statistics.log_log_slope(games_of(rows)[quantity(rows)].tolist(), samples)


def measured(rows: pd.DataFrame, claim: str, confidence: float) -> Estimate:
    """Return the measured exponent of a line with its interval."""
    read, x = reading(rows), games_of(rows)[quantity(rows)].tolist()

    def fitted(groups: Sequence[np.ndarray]) -> float:
        return statistics.log_log_slope(x, read(groups))

    rng = bootstrap_generator(rows, claim)
    return statistics.bootstrap(replicates(rows), fitted, rng, confidence=confidence, kind="smooth")


def certified(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of the games for which the theorem prescribes something."""
    return rows[rows["theorem_samples"].notna()]


def below_theorem(rows: pd.DataFrame, tolerance: float, confidence: float) -> list[Claim]:
    """Judge C4-scaling along one line (docs/theory, section 12); nothing where the theorem says nothing."""
    rows = certified(rows)
    if rows["value"].nunique() < 2:
        return []
    games, at = games_of(rows), quantity(rows)
    theirs = exponent(rows, games["theorem_samples"].tolist())
    found = measured(rows, "C4-scaling", confidence)
    own = {"p_inf": "theorem_inverse_action", "δ_mix": "theorem_inverse_state"}
    moves = ", ".join(
        f"1/{name} from {games[column].min():.3g} to {games[column].max():.3g}" for name, column in own.items()
    )
    return [
        {
            "id": "C4-scaling",
            "statement": "Samples to an accuracy grow more slowly with a game's quantities than the theorem's.",
            "source": "how the samples of Theorem 4.3 depend on the game, by our constants (Theorem 10.5)",
            "quantity": "exponent of the samples in the quantity that moves, minus that of the theorem's",
            "estimate": found.shifted(-theirs),
            "expected": (-math.inf, tolerance),
            "rival": Rival("0, as the theorem's", (0.0,)),
            "how": f"{told(rows, samples_of(rows), found)}; the theorem's exponent {theirs:.3g}, of "
            f"{games['theorem_samples'].min():.2g} to {games['theorem_samples'].max():.2g} samples, with its own "
            f"{moves}; {len(games)} games, all certified, over a factor of {games[at].max() / games[at].min():.3g}",
        }
    ]


def as_exact(rows: pd.DataFrame, tolerance: float, confidence: float) -> Claim:
    """Judge C4-scaling-exact along one line (docs/theory, section 12)."""
    games = games_of(rows)
    predicted = exponent(rows, games["exact_samples"].tolist())
    found = measured(rows, "C4-scaling-exact", confidence)
    difference, expected = found.shifted(-predicted), (-tolerance, tolerance)
    samples = samples_of(rows)
    ratios = np.array(samples) / games["exact_samples"].to_numpy()
    settled = float((np.array(samples) / games["n_epochs"] / games["td_scale"]).min())
    refuted = compare((difference.low, difference.high), expected) == "not confirmed"
    return {
        "id": "C4-scaling-exact",
        "statement": "Samples to an accuracy grow with a game's quantities as the exact noise of TD learning says.",
        "source": "the limit of small epsilon (Proposition 10.15)",
        "quantity": "exponent of the samples in the quantity that moves, minus the exact one",
        "estimate": difference,
        "expected": expected,
        "rival": Rival(f"{HALF:g} to either side", (-HALF, HALF)),
        "how": f"{told(rows, samples, found)}; the exact exponent {predicted:.3g}; measured / exact samples from "
        f"{ratios.min():.3g} to {ratios.max():.3g}; M_td at least {settled:.3g} c",
        "too_small": f"an epoch of {settled:.2g} c updates ends in the start of TD learning"
        if refuted and settled < SETTLED
        else "",
    }


def told(rows: pd.DataFrame, samples: Sequence[float], found: Estimate) -> str:
    """Return the line, its samples and the measured exponent in words."""
    games, at = games_of(rows), quantity(rows)
    also = also_moves(rows)
    return (
        f"{MOVING[at]} = {', '.join(f'{x:.3g}' for x in games[at])}{f', and with it {also}' if also else ''}; samples "
        f"to {games['epsilon'].iloc[0]:g}: {', '.join(f'{x:.2g}' for x in samples)}, exponent {found.value:.3g} "
        f"[{found.low:.3g}, {found.high:.3g}]; {rows['replicate'].nunique()} replicates"
    )


def also_moves(rows: pd.DataFrame) -> str:
    """Return what else differs between the games of a line by more than a twentieth, in words."""
    games, at = games_of(rows), quantity(rows)
    moved = []
    for column, name in MOVING.items():
        low, high = float(games[column].min()), float(games[column].max())
        if column != at and high > 1.05 * low:
            ends = games.sort_values(at)[column].iloc[[0, -1]]
            moved.append(f"{name} {ends.iloc[0]:.3g} to {ends.iloc[1]:.3g}")
    return ", ".join(moved)


def scaling_cells(table: pd.DataFrame, confidence: float = 0.95) -> pd.DataFrame:
    """Return the exponents of every line as text for readers.

    Parameters
    ----------
    table : DataFrame
        Of `measure.measure`, all lines together.
    confidence : float
        Of the intervals.

    Returns
    -------
    DataFrame
        Of str, a row for each line; `TABLE` says what it means.
    """
    found = []
    for line, rows in table.groupby("game", sort=False):
        games, at, proved = games_of(rows), quantity(rows), certified(rows)
        slope = measured(rows, "scaling", confidence)
        theirs = "not certified"
        if proved["value"].nunique() > 1:
            over = "" if proved["value"].nunique() == len(games) else f" ({proved['value'].nunique()} games)"
            theirs = f"{exponent(proved, games_of(proved)['theorem_samples'].tolist()):.2f}{over}"
        largest = int(games[at].to_numpy().argmax())
        samples = samples_of(rows)
        found.append(
            {
                "line": str(line).replace("_", " "),
                "moves": f"{MOVING[at]} {games[at].min():.3g} to {games[at].max():.3g}",
                "also moves": also_moves(rows) or "–",
                "measured": f"{slope.value:.2f} [{slope.low:.2f}, {slope.high:.2f}]",
                "exact": f"{exponent(rows, games['exact_samples'].tolist()):.2f}",
                "theorem": theirs,
                "samples at the largest": f"{samples[largest]:.2g}",
                "of the theorem": f"{games['theorem_samples'][largest]:.2g}",
                "its 1/p_inf": f"{games['theorem_inverse_action'][largest]:.2g}",
                "its 1/delta_mix": f"{games['theorem_inverse_state'][largest]:.2g}",
            }
        )
    return pd.DataFrame(found).replace("nan", "–")


def scaling_markdown(table: pd.DataFrame, confidence: float = 0.95) -> str:
    """Return `scaling_cells` of the same table as Markdown."""
    return titled_table("# How samples grow", f"Written by the pipeline. {TABLE}", scaling_cells(table, confidence))
