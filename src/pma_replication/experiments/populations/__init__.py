"""Experiment: what a finite number of agents does to what is learned."""

from __future__ import annotations

from pma_replication.experiment import Claim, Experiment, table

EXPERIMENT = Experiment(
    title="what a finite number of agents does to what is learned",
    place=11,
    tables={
        "populations_learned": table(
            "populations_learned", "populations_learned/{game}_{n_agents}", n_agents="populations"
        ),
        "populations_bias": table("populations_bias", "populations_bias/{game}_{n_agents}", n_agents="populations"),
        "populations_exact": table("populations_exact", "populations_exact/{game}"),
        "populations_agreement": table("populations_agreement", "populations_agreement/{game}"),
    },
    figures={"populations": ("populations_bias", "populations_exact", "populations_learned")},
    claims={
        "C6-smooth": Claim(
            words="the bias from finitely many agents falls as 1/N in a smooth game",
            rival="the bias falls as 1/sqrt(N), as the paper's bound allows",
            standing="sharpened",
            judge="bias_slope",
            tables=("populations_bias",),
            tolerance="slope_tolerance",
            steps=("populations_bias",),
            figure="populations",
        ),
        "C6-kinked": Claim(
            words="the bias from finitely many agents falls as 1/sqrt(N) where rewards have a kink at the equilibrium",
            rival="the bias falls as 1/N, as in a smooth game",
            standing="sharpened",
            judge="bias_slope",
            tables=("populations_bias",),
            tolerance="slope_tolerance",
            steps=("populations_bias",),
            figure="populations",
        ),
        "C6-deviation": Claim(
            words="the population fluctuates by the predicted constant over sqrt(N)",
            rival="the constant is off by a tenth",
            standing="sharpened",
            judge="deviation_constant",
            tables=("populations_bias",),
            tolerance="constant_tolerance",
            steps=("populations_bias",),
            figure="populations",
        ),
        "C6-constant": Claim(
            words="the bias from finitely many agents has the predicted constant",
            rival="the constant is off by a tenth",
            standing="sharpened",
            judge="bias_constant",
            tables=("populations_bias",),
            tolerance="constant_tolerance",
            steps=("populations_bias",),
            figure="populations",
        ),
        "C6-learned": Claim(
            words="the learned policy ends off the equilibrium by 1/N in a smooth game, and 1/sqrt(N) with a kink",
            rival="the other of these two orders",
            standing="sharpened",
            judge="learned_slope",
            tables=("populations_learned",),
            tolerance="samples_slope_tolerance",
            steps=("populations_learned",),
            figure="populations",
            more=("populations_bias", "populations_exact"),
        ),
        "C6-learned-limit": Claim(
            words="the learned policy ends where the game of N agents says that learning without noise does",
            rival="it ends at the equilibrium of infinitely many agents, or a fifth off the predicted distance",
            standing="ours",
            judge="learned_limit",
            tables=("populations_learned",),
            tolerance="independent_tolerance",
            steps=("populations_learned",),
            figure="populations",
            more=("populations_bias", "populations_exact"),
        ),
        "C3-exact": Claim(
            words="the simulator learns what the exact N-agent game says",
            rival="what is learned is the limit of infinitely many agents",
            standing="ours",
            nature="check",
            judge="agreement",
            tables=("populations_agreement",),
            steps=("populations_agreement",),
            figure="populations",
            more=("populations_bias", "populations_exact"),
        ),
    },
)
