# table -> the files it joins
TABLES = {
    "equilibria": expand(f"{RESULTS}/points/equilibria/{{game}}.parquet", game=STUDIED),
    "assumptions": expand(f"{RESULTS}/points/assumptions/{{game}}.parquet", game=STUDIED),
    "ratios": points("operator_checks", "ratios/{game}"),
    "iterates": points("convergence", "iterates/{game}"),
    "rates": points("convergence", "rates/{game}"),
    **{name: points("dynamics", f"{name}/{{game}}") for name in ("histories", "outcomes", "orbits")},
    **{name: points("damping", f"{name}/{{game}}") for name in ("damping", "attractors")},
    **{name: points("basins", f"{name}/{{game}}") for name in ("departures", "basins", "several")},
    "certified": points("convergence", "certified/{game}"),
    "phase": points("phase", "phase/{game}"),
    "certified_strengths": points("phase", "strengths/{game}"),
    "ctd": points("ctd", "ctd/{game}_{n_agents}", n_agents=config["ctd"]["populations"]),
    "ctd_floor": points("ctd", "ctd_floor/{game}_{n_agents}", n_agents=config["ctd"]["populations"]),
    "moments": points("ctd", "moments/{game}"),
    "epsilon": [
        f"{RESULTS}/points/epsilon/{game}_{epsilon}.parquet"
        for game, tuned in config["epsilon_sweep"]["games"].items()
        for epsilon in tuned["epsilons"]
    ],
    "schedules": points("prescribed", "schedules/{game}"),
    "prescribed": [
        f"{RESULTS}/points/prescribed/{game}_{epsilon}.parquet"
        for game, epsilons in config["prescribed"]["games"].items()
        for epsilon in epsilons
    ],
    "population": points(
        "population_sweep", "population/{game}_{n_agents}", n_agents=config["population_sweep"]["populations"]
    ),
    "bias": points("bias", "bias/{game}_{n_agents}", n_agents=config["bias"]["populations"]),
    "limits": points("population_sweep", "limits/{game}"),
    "exact": points("exact", "exact/{game}"),
    "agreement": points("agreement", "agreement/{game}"),
    "nash": points("nash", "nash/{game}"),
    "independent": [
        *points("independent", "independent/{game}_{sweep}", sweep=["populations", "updates", "step_sizes"]),
        *points("independent", "independent_agents/{game}"),
    ],
    "independent_epsilon": points("independent", "independent_epsilon/{game}"),
    **{name: points("comparison", f"{name}/{{game}}") for name in ("comparison", "tuning", "samples_to_accuracy")},
    "zoo": points("zoo", "zoo/{game}"),
    "zoo_equilibria": points("zoo", "zoo_equilibria/{game}"),
    "zoo_states": points("zoo", "zoo_states/{game}"),
    "atlas": expand(f"{RESULTS}/points/atlas/{{batch}}.parquet", batch=range(len(ATLAS))),
}
# the documentation tells of the full replication; every other configuration has its findings beside its figures
FINDINGS = "docs/findings.md" if config["figures"] == "figures" else f"{config['figures']}/findings.md"
# what the configuration leaves out has no table, no claim and no figure
TABLES = {name: TABLES[name] for name in configuration.tables(config)}
FIGURES = {name: tables for name, tables in FIGURES.items() if set(tables) <= set(TABLES)}


rule table:
    input:
        lambda wildcards: TABLES[wildcards.table],
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
        "pma-replicate collect {input:q} --out {output:q} --log {log:q}"


rule claims:
    input:
        library("pma_replication.commands.claims"),
        tables=expand(
            f"{RESULTS}/tables/{{table}}.parquet",
            table=[name for name in (*verdicts.TABLES, "assumptions", "zoo", "zoo_equilibria") if name in TABLES],
        ),
    output:
        claims=f"{RESULTS}/claims.json",
        markdown=f"{config['figures']}/verdicts.md",
        assumptions=f"{config['figures']}/assumptions.md",
        comparison=f"{config['figures']}/samples_to_accuracy.md",
        games=f"{config['figures']}/games.md",
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
        " --out-comparison {output.comparison:q} --out-games {output.games:q} --log {log:q}"


rule findings:
    input:
        library("pma_replication.commands.findings"),
        "src/pma_replication/findings.md.jinja",
        claims=f"{RESULTS}/claims.json",
    output:
        FINDINGS,
    log:
        f"{RESULTS}/logs/findings.log",
    benchmark:
        f"{RESULTS}/benchmarks/findings.tsv"
    conda:
        "../../environment.yml"
    params:
        figures=config["figures"],
    message:
        "Write what was found"
    shell:
        "pma-replicate findings {input.claims:q} --figures {params.figures:q} --out {output:q} --log {log:q}"


rule figure:
    input:
        lambda wildcards: library(
            f"pma_replication.experiments.{EXPERIMENT.get(wildcards.figure, wildcards.figure)}.draw"
        ),
        tables=lambda wildcards: expand(f"{RESULTS}/tables/{{table}}.parquet", table=FIGURES[wildcards.figure]),
    output:
        expand("{figures}/{{figure}}.{suffix}", figures=config["figures"], suffix=["png", "svg"]),
    log:
        f"{RESULTS}/logs/figure/{{figure}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/figure/{{figure}}.tsv"
    wildcard_constraints:
        figure="|".join(FIGURES),
    conda:
        "../../environment.yml"
    params:
        tables=lambda wildcards, input: Path(input.tables[0]).parent,
        path=lambda wildcards, output: Path(output[0]).with_suffix(""),
    message:
        "Draw the figure {wildcards.figure}"
    shell:
        "pma-replicate figure {wildcards.figure} --tables {params.tables:q} --out {params.path:q} --log {log:q}"
