rule bounds_measure:
    input:
        library("pma_replication.experiments.bounds.commands"),
        game=made_game,
        equilibrium=f"{RESULTS}/equilibria/{{game}}.npz",
    output:
        f"{RESULTS}/points/bounds/{{game}}.parquet",
    log:
        f"{RESULTS}/logs/bounds_measure/{{game}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/bounds_measure/{{game}}.tsv"
    conda:
        "../../environment.yml"
    params:
        step_sizes=config["bounds"]["step_sizes"],
        n_pairs=config["bounds"]["n_pairs"],
        n_ascents=config["bounds"]["n_ascents"],
        seed=SEED,
    message:
        "Search {wildcards.game} for pairs that beat a Lipschitz bound"
    shell:
        "pma-replicate bounds measure {input.game:q} {input.equilibrium:q} --step-sizes {params.step_sizes}"
        " --pairs {params.n_pairs}"
        " --ascents {params.n_ascents} --seed {params.seed} --out {output:q} --log {log:q}"


rule contraction_measure:
    input:
        library("pma_replication.experiments.contraction.commands"),
        game=made_game,
        equilibrium=f"{RESULTS}/equilibria/{{game}}.npz",
    output:
        iterates=f"{RESULTS}/points/iterates/{{game}}.parquet",
        rates=f"{RESULTS}/points/rates/{{game}}.parquet",
        certified=f"{RESULTS}/points/certified/{{game}}.parquet",
    log:
        f"{RESULTS}/logs/contraction_measure/{{game}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/contraction_measure/{{game}}.tsv"
    conda:
        "../../environment.yml"
    params:
        step_sizes=config["contraction"]["step_sizes"],
        n_starts=config["contraction"]["n_starts"],
        max_iterations=config["contraction"]["max_iterations"],
        seed=SEED,
    message:
        "Run exact PMA on {wildcards.game} from several starts"
    shell:
        "pma-replicate contraction measure {input.game:q} {input.equilibrium:q} --step-sizes {params.step_sizes}"
        " --starts {params.n_starts} --max-iterations {params.max_iterations} --seed {params.seed}"
        " --out-iterates {output.iterates:q} --out-rates {output.rates:q} --out-certified {output.certified:q}"
        " --log {log:q}"


rule phase_measure:
    input:
        library("pma_replication.experiments.phase.commands"),
        game=made_game,
    output:
        phase=f"{RESULTS}/points/phase/{{game}}.parquet",
        strengths=f"{RESULTS}/points/certified_strengths/{{game}}.parquet",
    log:
        f"{RESULTS}/logs/phase_measure/{{game}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/phase_measure/{{game}}.tsv"
    conda:
        "../../environment.yml"
    params:
        strengths=list(config["phase"]["strengths"][end] for end in ("low", "high", "count")),
        step_sizes=list(config["phase"]["step_sizes"][end] for end in ("low", "high", "count")),
        n_probes=config["phase"]["n_probes"],
        seed=SEED,
    message:
        "Map where PMA contracts in {wildcards.game}"
    shell:
        "pma-replicate phase measure {input.game:q} --strengths {params.strengths}"
        " --step-sizes {params.step_sizes}"
        " --probes {params.n_probes} --seed {params.seed} --out {output.phase:q} --out-strengths {output.strengths:q}"
        " --log {log:q}"


rule equilibria_assumptions:
    input:
        library("pma_replication.experiments.equilibria.commands"),
        game=made_game,
        equilibrium=f"{RESULTS}/equilibria/{{game}}.npz",
    output:
        f"{RESULTS}/points/assumptions/{{game}}.parquet",
    log:
        f"{RESULTS}/logs/equilibria_assumptions/{{game}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/equilibria_assumptions/{{game}}.tsv"
    conda:
        "../../environment.yml"
    message:
        "Compute what the theory assumes of {wildcards.game}"
    shell:
        "pma-replicate equilibria assumptions {input.game:q} {input.equilibrium:q} --step-size 1"
        " --out {output:q} --log {log:q}"


rule regularization_measure:
    input:
        library("pma_replication.experiments.regularization.commands"),
        game=made_game,
    output:
        points=f"{RESULTS}/points/regularization/{{game}}.parquet",
        game=f"{RESULTS}/points/regularization_games/{{game}}.parquet",
    log:
        f"{RESULTS}/logs/regularization_measure/{{game}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/regularization_measure/{{game}}.tsv"
    conda:
        "../../environment.yml"
    params:
        regularizer=lambda wildcards: described(wildcards)["regularizer"],
    message:
        "Follow the equilibrium of {wildcards.game} to no regularizer"
    shell:
        "pma-replicate regularization measure {input.game:q} --regularizer {params.regularizer}"
        " --out {output.points:q} --out-game {output.game:q} --log {log:q}"


rule paths_follow:
    input:
        library("pma_replication.experiments.paths.commands"),
        game=made_game,
    output:
        points=f"{RESULTS}/points/paths/{{game}}.parquet",
        equilibria=f"{RESULTS}/points/paths_equilibria/{{game}}.parquet",
    log:
        f"{RESULTS}/logs/paths_follow/{{game}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/paths_follow/{{game}}.tsv"
    conda:
        "../../environment.yml"
    params:
        regularizer=lambda wildcards: described(wildcards)["regularizer"],
        diagram=lambda wildcards: described(wildcards, "paths"),
        strengths=config["paths"]["strengths"],
        seed=SEED,
    message:
        "Follow all branches of equilibria of {wildcards.game}"
    shell:
        "pma-replicate paths follow {input.game:q} --regularizer {params.regularizer}"
        " --lowest {params.diagram[lowest]} --starts {params.diagram[n_starts]} --strengths {params.strengths}"
        " --seed {params.seed} --out {output.points:q} --out-equilibria {output.equilibria:q} --log {log:q}"


rule paths_generated:
    input:
        library("pma_replication.experiments.paths.commands"),
    output:
        f"{RESULTS}/points/paths_generated/{{grid}}.parquet",
    log:
        f"{RESULTS}/logs/paths_generated/{{grid}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/paths_generated/{{grid}}.tsv"
    wildcard_constraints:
        grid="[A-Za-z][A-Za-z0-9_-]*",
    conda:
        "../../environment.yml"
    params:
        games=grid_arguments,
        n_seeds=lambda wildcards: config["paths_generated"]["grids"][wildcards.grid]["n_seeds"],
    message:
        "Follow the paths of the games {wildcards.grid}"
    shell:
        "pma-replicate paths generated {wildcards.grid} {params.games} --seeds {params.n_seeds} --out {output:q}"
        " --log {log:q}"
