"""Experiment: what one agent among N gains by deviating."""

from __future__ import annotations

from pma_replication.experiment import Claim, Experiment, table

EXPERIMENT = Experiment(
    title="what one agent among N gains by deviating",
    place=12,
    tables={
        "nash": table("nash", "nash/{game}"),
        "nash_learned": table("nash_learned", "nash_learned/{game}"),
    },
    figures={"nash": ("nash", "nash_learned")},
    spare={"nash_learned": ()},
    claims={
        "C7": Claim(
            words="in the game of N agents, one who sees its own state and deviates gains at most of order 1/sqrt(N)",
            rival="the gain falls more slowly, as N^(-1/4)",
            standing="paper",
            judge="gap_bound",
            tables=("nash",),
            tolerance="slope_tolerance",
            steps=("nash",),
            figure="nash",
        ),
        "C7-state": Claim(
            words="one who sees its own state and deviates gains of order 1/N^2 in a smooth game, and 1/N with a kink",
            rival="the gain falls as 1/sqrt(N), as the paper's bound allows, or as the other of these two",
            standing="sharpened",
            judge="gap_state",
            tables=("nash",),
            tolerance="slope_tolerance",
            steps=("nash",),
            figure="nash",
        ),
        "C7-order": Claim(
            words="one who sees the counts of all agents gains of order 1/N with a regularizer",
            rival="the gain falls as 1/sqrt(N), as the paper's bound allows, or as 1/N^2",
            standing="sharpened",
            judge="gap_order",
            tables=("nash",),
            tolerance="slope_tolerance",
            steps=("nash",),
            figure="nash",
        ),
        "C7-tight": Claim(
            words="without a regularizer, all actions equally good, one who sees the counts gains of order 1/sqrt(N)",
            rival="the gain falls as 1/N, or as 1/N^2",
            standing="sharpened",
            judge="gap_tight",
            tables=("nash",),
            tolerance="slope_tolerance",
            steps=("nash",),
            figure="nash",
        ),
        "C7-state-free": Claim(
            words="without a regularizer one who sees its own state gains of order 1/N, with a kink 1/sqrt(N)",
            rival="the other of these two orders",
            standing="sharpened",
            judge="gap_state_free",
            tables=("nash",),
            tolerance="slope_tolerance",
            steps=("nash",),
            figure="nash",
        ),
        "C7-constant": Claim(
            words="the gain of a deviator has the predicted constant",
            rival="the constant is off by a tenth",
            standing="sharpened",
            judge="gap_constant",
            tables=("nash",),
            tolerance="constant_tolerance",
            steps=("nash",),
            figure="nash",
        ),
        "C7-learned": Claim(
            words="at a policy learned from N agents the gain of a deviator falls as one over the samples",
            rival="it falls as the distance of the policy does, as one over their square root",
            standing="ours",
            judge="learned_slope",
            tables=("nash_learned",),
            tolerance="samples_slope_tolerance",
            steps=("nash_learned",),
            figure="nash",
        ),
        "C7-learned-closer": Claim(
            words="at a policy learned from N agents a deviator gains less than a tenth of what it gains at the "
            "equilibrium of infinitely many agents",
            rival="learning ends at that equilibrium, or as far from one of N agents as it is",
            standing="ours",
            judge="learned_ratio",
            tables=("nash_learned",),
            tolerance=0.0,
            steps=("nash_learned",),
            figure="nash",
        ),
    },
)
