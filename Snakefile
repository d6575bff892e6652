"""Replication of policy mirror ascent in mean field games: games, equilibria, operator checks, learning, verdicts."""

from snakemake.utils import min_version

min_version("9.0")


# used unless a configuration is given on the command line; Snakemake would merge the two, and mix their games
if not workflow.overwrite_configfiles:

    configfile: "config/config.yaml"


include: "workflow/rules/common.smk"
include: "workflow/rules/games.smk"
include: "workflow/rules/operators.smk"
include: "workflow/rules/dynamics.smk"
include: "workflow/rules/learning.smk"
include: "workflow/rules/comparison.smk"
include: "workflow/rules/atlas.smk"
include: "workflow/rules/results.smk"


# rules of some seconds each, at the end of a run; on a cluster they run on the machine where the command was typed
localrules:
    table,
    claims,
    findings,
    figure,


rule all:
    default_target: True
    input:
        f"{RESULTS}/claims.json",
        FINDINGS,
        expand(f"{RESULTS}/tables/{{table}}.parquet", table=TABLES),
        expand("{figures}/{figure}.{suffix}", figures=config["figures"], figure=FIGURES, suffix=["png", "svg"]),
