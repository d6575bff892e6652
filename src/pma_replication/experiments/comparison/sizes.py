"""Sizes that fit one game: PMA beside methods with a generative model."""

from __future__ import annotations

from pma_mfg.regularizers import Entropy
from pma_replication.plan import MANY_AGENTS, Settings, Subject, rounded

#: Step sizes that are tried of PMA and of mirror descent, in units of 1 / rho.
ASCENT, DESCENT = (0.1, 0.4, 2.0), (0.2, 0.7)


def _steps(subject: Subject, tried: tuple[float, ...]) -> list[float]:
    """Return step sizes to tune over: in a strongly coupled game shorter by one factor, so that PMA contracts."""
    factor = min(1.0, subject.relative_step_size / ASCENT[0])
    return [rounded(factor * step_size, 2) for step_size in tried]


def _comparison(subject: Subject) -> Settings:
    subject.need_features("comparison")
    if not isinstance(subject.regularizer, Entropy):
        raise subject.refused("comparison", f"the regularizer {subject.kind}", "--regularizer entropy")
    return {
        "methods": {
            "pma": {"step_size": _steps(subject, ASCENT), "first": [30, 300], "growth": [1.05], "constant": [1.0, 3.0]},
            "gmf_q": {"first": [10, 100, 1000], "growth": [1.2], "constant": [1.0], "share": [1.0]},
            "fitted_q": {"first": [10, 100, 1000], "growth": [1.2], "share": [1.0]},
            "fictitious_play": {"first": [10, 100], "growth": [1.1], "constant": [1.0], "share": [1.0]},
            "online_mirror_descent": {
                "step_size": _steps(subject, DESCENT),
                "first": [10, 100],
                "growth": [1.05],
                "constant": [1.0],
                "share": [1.0],
            },
            "two_timescale": {
                "first": [10],
                "growth": [1.2],
                "q_exponent": [0.55, 0.75],
                "mean_field_exponent": [0.85],
                "exploration": [0.1],
            },
        },
        "n_agents": MANY_AGENTS,
        "budget": 300_000,
        "pilot_budget": 100_000,
        "per_decade": 4,
        "target": 0.03,
        "accuracies": [0.1, 0.03, 0.01],
        "n_pilots": 2,
        "n_replicates": 8,
    }


SIZES = {"comparison": _comparison}
