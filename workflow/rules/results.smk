# the findings of the full replication go into docs/, those of other configurations beside their figures
FINDINGS = "docs/findings.md" if config["figures"] == "figures" else f"{config['figures']}/findings.md"


# the experiments with claims on tables of this configuration
JUDGING = sorted({experiment for experiment, claim in registry.judges() if TABLES.keys() & claim.tables})


rule table:
    input:
        library("pma_replication.commands.collect"),
        tables=lambda wildcards: TABLES[wildcards.table],
    output:
        f"{RESULTS}/tables/{{table}}.parquet",
    log:
        f"{RESULTS}/logs/table/{{table}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/table/{{table}}.tsv"
    wildcard_constraints:
        table="|".join(TABLES),
    conda:
        "../../environment.yml"
    message:
        "Join the table {wildcards.table}"
    shell:
        "pma-replicate collect {input.tables:q} --out {output:q} --log {log:q}"


rule claims:
    input:
        # the judges and the words on their claims are imported by name, so they are listed here
        library(
            "pma_replication.commands.claims",
            *(f"pma_replication.experiments.{name}{part}" for name in JUDGING for part in ("", ".judge")),
        ),
        "src/pma_replication/expected.yaml",
        tables=expand(
            f"{RESULTS}/tables/{{table}}.parquet",
            table=[name for name in (*registry.judged(), *judging.SHOWN) if name in TABLES],
        ),
    output:
        claims=f"{RESULTS}/claims.json",
        markdown=report(f"{config['figures']}/verdicts.md", caption="../report/verdicts.rst", category="Verdicts"),
        assumptions=f"{config['figures']}/assumptions.md",
        comparison=f"{config['figures']}/samples_to_accuracy.md",
        games=f"{config['figures']}/games.md",
        one_trajectory=f"{config['figures']}/one_trajectory.md",
        networked=f"{config['figures']}/networked.md",
        scaling=f"{config['figures']}/scaling.md",
        paths=f"{config['figures']}/paths.md",
    log:
        f"{RESULTS}/logs/claims.log",
    benchmark:
        f"{RESULTS}/benchmarks/claims.tsv"
    conda:
        "../../environment.yml"
    params:
        tolerances=" ".join(f"--{name.replace('_', '-')} {value}" for name, value in config["claims"].items()),
        own=sorted(name for name, game in config.get("games", {}).items() if "file" in game),
    message:
        "Turn the tables into verdicts"
    shell:
        "pma-replicate claims --tables {input.tables:q} {params.tolerances} --own {params.own:q}"
        " --out {output.claims:q} --out-markdown {output.markdown:q} --out-assumptions {output.assumptions:q}"
        " --out-comparison {output.comparison:q} --out-games {output.games:q}"
        " --out-one-trajectory {output.one_trajectory:q} --out-scaling {output.scaling:q}"
        " --out-networked {output.networked:q} --out-paths {output.paths:q} --log {log:q}"


rule findings:
    input:
        library("pma_replication.commands.findings"),
        expand("src/pma_replication/{page}.md.jinja", page=["findings", "concordance", "found", "readme", "reviewer"]),
        "src/pma_replication/times.yaml",
        claims=f"{RESULTS}/claims.json",
    output:
        findings=FINDINGS,
        concordance=f"{Path(FINDINGS).parent}/concordance.md",
    log:
        f"{RESULTS}/logs/findings.log",
    benchmark:
        f"{RESULTS}/benchmarks/findings.tsv"
    conda:
        "../../environment.yml"
    params:
        figures=config["figures"],
        # no outputs, which Snakemake would delete before they are written anew, and which other configurations have not
        full="--readme README.md --out-reviewer docs/reviewer.md" if FINDINGS == "docs/findings.md" else "",
    message:
        "Write what was found"
    shell:
        "pma-replicate findings {input.claims:q} --figures {params.figures:q} --out {output.findings:q}"
        " --out-concordance {output.concordance:q} {params.full} --log {log:q}"


rule figure:
    input:
        lambda wildcards: library(
            "pma_replication.commands.figure",
            f"pma_replication.experiments.{registry.drawing(wildcards.figure)}.draw",  # which is found by name
        ),
        tables=lambda wildcards: expand(
            f"{RESULTS}/tables/{{table}}.parquet",
            table=[name for name in registry.figures()[wildcards.figure] if name in TABLES],
        ),
    output:
        f"{config['figures']}/{{figure}}.png",
        report(
            f"{config['figures']}/{{figure}}.svg",
            caption="../report/figure.rst",
            category="Figures",
            labels={"figure": "{figure}"},
        ),
    log:
        f"{RESULTS}/logs/figure/{{figure}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/figure/{{figure}}.tsv"
    wildcard_constraints:
        figure="|".join(FIGURES),
    conda:
        "../../environment.yml"
    params:
        path=lambda wildcards, output: Path(output[0]).with_suffix(""),
    message:
        "Draw the figure {wildcards.figure}"
    shell:
        "pma-replicate figure {wildcards.figure} --tables {input.tables:q} --out {params.path:q} --log {log:q}"
