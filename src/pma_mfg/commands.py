"""The commands of `pma-mfg` in groups, each with examples of its own, as `--help` shows them.

An example is run in a folder with the files that the examples before it write, so that all of them can be typed one
after the other; the pipeline's files are those of config/example.yaml.
"""

from __future__ import annotations

#: Heading -> commands under it, in the order of work.
GROUPS: dict[str, tuple[str, ...]] = {
    "your game": ("games", "generate", "validate", "solve", "learn", "config"),
    "check a claim": ("verify",),
    "one experiment of the pipeline": (
        "check",
        "converge",
        "phase",
        "assumptions",
        "dynamics",
        "damping",
        "basins",
        "ctd",
        "moments",
        "centralized",
        "schedules",
        "bias",
        "limits",
        "learning-limit",
        "agreement",
        "nash-gap",
        "covariance",
        "independent",
        "compare",
        "survey",
        "atlas",
    ),
    "results of the pipeline": ("collect", "claims", "findings", "figure", "figures", "report", "warm-up"),
}

#: Command -> lines that can be typed.
EXAMPLES: dict[str, tuple[str, ...]] = {
    "games": ("pma-mfg games", "pma-mfg games crowd_averse"),
    "generate": (
        "pma-mfg generate planted_smooth n_states=3 n_actions=2 discount=0.5 seed=1 strength=0.1 --out game.npz",
        "pma-mfg generate affine n_states=3 n_actions=2 discount=0.5 seed=1 K_mu=0.1 K_s=0.3 K_a=0.2 L_mu=0.01"
        " L_s=0.01 L_a=0.01 --out certified.npz",
    ),
    "validate": ("pma-mfg validate game.npz", "pma-mfg validate game.npz --strength 0.1 --json"),
    "solve": (
        "pma-mfg solve game.npz --strength 0.1",
        "pma-mfg solve game.npz --strength 0.1 --out equilibrium.npz --out-table equilibrium.parquet",
    ),
    "learn": (
        "pma-mfg learn game.npz --strength 0.1 --agents 1000",
        "pma-mfg learn game.npz --strength 0.1 --agents 1000 --schedule tuned --epsilon 0.2 --replicates 2",
    ),
    "centralized": (
        "pma-mfg centralized game.npz equilibrium.npz --agents 1000 --epsilon 0.2 --replicates 2 --out runs.parquet",
        "pma-mfg centralized game.npz equilibrium.npz --agents 1000 --epsilon 0.2 --dry-run",
    ),
    "config": ("pma-mfg config game.npz --strength 0.1 --out my.yaml",),
    "verify": (
        "pma-mfg verify --list",
        "pma-mfg verify C1c game.npz --strength 0.1 --plot rate.png",
        "pma-mfg verify C7-order game.npz --strength 0.1 --json",
    ),
    "check": ("pma-mfg check game.npz --strength 0.1 --pairs 20",),
    "converge": (
        "pma-mfg converge game.npz --strength 0.1 --step-sizes 0.5 1 --out-iterates iterates.parquet"
        " --out-rates rates.parquet",
    ),
    "phase": (
        "pma-mfg phase game.npz --strengths 0.1 10 3 --relative-step-sizes 0.1 10 3 --probes 1 --out phase.parquet"
        " --out-strengths certified_strengths.parquet",
    ),
    "assumptions": ("pma-mfg assumptions game.npz --strength 0.1 --step-size 10",),
    "dynamics": (
        "pma-mfg dynamics game.npz equilibrium.npz --starts 1 --out-histories histories.parquet"
        " --out-outcomes outcomes.parquet --out-orbits orbits.parquet --out-seconds seconds.parquet",
    ),
    "damping": (
        "pma-mfg damping game.npz equilibrium.npz --strengths 1 0.1 --starts 1 --out damping.parquet"
        " --out-attractors attractors.parquet",
    ),
    "basins": (
        "pma-mfg basins game.npz equilibrium.npz --step-sizes 1 10 --starts 1 --out-departures departures.parquet"
        " --out-basins basins.parquet --out-several several.parquet",
    ),
    "ctd": (
        "pma-mfg ctd game.npz equilibrium.npz --agents 1e6 --updates 100 1000 10000 --replicates 4 --out ctd.parquet",
    ),
    "moments": ("pma-mfg moments game.npz --strength 0.1 --updates 100 1000 --waiting 0 1 2",),
    "schedules": ("pma-mfg schedules certified.npz --strength 1 --epsilons 0.1 0.01 --step-size 1",),
    "bias": ("pma-mfg bias game.npz equilibrium.npz --agents 100 --steps 10000 --replicates 4 --out bias.parquet",),
    "limits": ("pma-mfg limits game.npz --strength 0.1 --agents 10 100 1000 --step-size 5",),
    "learning-limit": ("pma-mfg learning-limit game.npz --strength 0.1 --agents 5 10",),
    "agreement": ("pma-mfg agreement game.npz --strength 0.1 --agents 2 5 --steps 1000 --replicates 4",),
    "nash-gap": ("pma-mfg nash-gap game.npz --strength 0.1 --agents 5 10 20",),
    "covariance": ("pma-mfg covariance game.npz --strength 0.1",),
    "independent": (
        "pma-mfg independent game.npz --strength 0.1 --agents 100 --step-size 5 --epochs 5 --updates 500"
        " --replicates 2",
    ),
    "compare": (
        "pma-mfg compare game.npz --strength 0.1 --agents 1e6 --budget 1000 --pilot-budget 1000 --replicates 2"
        " --grid pma.step_size=1,5 pma.first=30 pma.growth=1.1 pma.constant=1",
    ),
    "survey": ("pma-mfg survey game.npz --strength 0.1 --step-size 10 --starts 1",),
    "atlas": (
        "pma-mfg atlas 'mine garnet n_states=3 n_actions=2 discount=0.5 seed=1 strength=0.5' --max-samples 1000",
    ),
    "collect": ("pma-mfg collect bias.parquet bias.parquet --out both.parquet",),
    "claims": ("pma-mfg claims --tables rates.parquet --out claims.json --out-markdown verdicts.md",),
    "findings": ("pma-mfg findings claims.json --figures . --out findings.md",),
    "figure": ("pma-mfg figure contraction --tables . --out contraction",),
    "figures": ("pma-mfg figures config/example.yaml",),
    "report": ("pma-mfg report config/example.yaml --rulegraph rulegraph.dot",),
    "warm-up": ("pma-mfg warm-up",),
}


def examples(command: str) -> str:
    """Return the examples of a command as the end of its help."""
    return "examples:\n" + "".join(f"  {line}\n" for line in EXAMPLES[command])
