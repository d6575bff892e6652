"""Verdicts: games with several equilibria. From tables to verdicts (docs/theory, section 12)."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from pma_mfg.iterations import DEPARTURE
from pma_replication.experiments.orbit.judge import share_of
from pma_replication.judging import Claim, Rival, exactly


def not_held(rows: pd.DataFrame, tolerance: float, confidence: float) -> Claim:
    """Judge C2-coordination in one game (docs/theory, section 12)."""
    gathering = rows[rows["best_response_lead"] > 1.0]
    by_mirror = gathering.groupby("mirror")["radius"].min()
    smallest = ", ".join(f"{radius:.4g} with {mirror}" for mirror, radius in by_mirror.items())
    return {
        "id": "C2-coordination",
        "statement": "No step size makes an equilibrium attractive where the best response has an eigenvalue above 1.",
        "source": "limit of the case for mirror ascent",
        "quantity": "smallest spectral radius of PMA there, over step sizes and mirror maps",
        "estimate": exactly(float(by_mirror.min()) if len(gathering) else math.nan),
        "expected": (1.0, math.inf),
        "rival": Rival("below 1, which Proposition 7.4 excludes"),
        "how": f"eigenvalue {rows['best_response_lead'].max():.4g}; {rows['step_size'].nunique()} step sizes from "
        f"{rows['step_size'].min():g} to {rows['step_size'].max():g}; smallest {smallest or 'not tested'}",
    }


def left(rows: pd.DataFrame, tolerance: float, confidence: float) -> Claim:
    """Judge C2-departure in one game (docs/theory, section 12)."""
    gathering = rows[rows["best_response_lead"] > 1.0]
    held = gathering[~gathering["left"].astype(bool)]
    # the distance grows by the radius in the end; before that a start must turn to the mode that grows
    needed = 2.0 * math.log(DEPARTURE) / np.log(held["radius"].clip(lower=1.0 + 1e-12))
    return {
        "id": "C2-departure",
        "statement": "PMA leaves such an equilibrium from every start next to it.",
        "source": "limit of the case for mirror ascent",
        "quantity": "share of runs that leave",
        "estimate": share_of(gathering, "left"),
        "expected": (1.0 - tolerance, 1.0),
        "rival": Rival("0", (0.0,)),
        "how": f"{gathering['start'].nunique()} perturbed starts for each of {gathering['step_size'].nunique()} step "
        f"sizes and {gathering['mirror'].nunique()} mirror maps; longest run {rows['iterations'].max()} iterations",
        "too_small": f"the spectral radius promises a departure after some {needed.max():.3g} iterations only"
        if len(held) and (held["iterations"] < needed).all()
        else "",
    }
