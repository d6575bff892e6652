rule game:
    input:
        library("pma_replication.commands.game"),
        game_file,
    output:
        f"{RESULTS}/games/{{game}}.npz",
    log:
        f"{RESULTS}/logs/game/{{game}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/game/{{game}}.tsv"
    conda:
        "../../environment.yml"
    params:
        arguments=game_arguments,
    message:
        "Make the game {wildcards.game}"
    shell:
        "pma-replicate game {params.arguments} --out {output:q} --log {log:q}"


use rule game as game_functions with:
    output:
        f"{RESULTS}/games/{{game}}.py",
    message:
        "Check the functions of the game {wildcards.game}"


rule equilibria_solve:
    input:
        library("pma_replication.experiments.equilibria.commands"),
        game=made_game,
    output:
        equilibrium=f"{RESULTS}/equilibria/{{game}}.npz",
        table=f"{RESULTS}/points/equilibria/{{game}}.parquet",
    log:
        f"{RESULTS}/logs/equilibria_solve/{{game}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/equilibria_solve/{{game}}.tsv"
    conda:
        "../../environment.yml"
    params:
        regularizer=lambda wildcards: described(wildcards)["regularizer"],
        strength=lambda wildcards: described(wildcards)["strength"],
    message:
        "Solve {wildcards.game} exactly"
    shell:
        "pma-replicate equilibria solve {input.game:q} --regularizer {params.regularizer} --strength {params.strength}"
        " --out {output.equilibrium:q} --out-table {output.table:q} --log {log:q}"


rule literature_measure:
    input:
        library("pma_replication.experiments.literature.commands"),
        game=f"{RESULTS}/games/{{game}}.npz",
        equilibrium=f"{RESULTS}/equilibria/{{game}}.npz",
    output:
        facts=f"{RESULTS}/points/literature/{{game}}.parquet",
        equilibria=f"{RESULTS}/points/literature_equilibria/{{game}}.parquet",
        states=f"{RESULTS}/points/literature_states/{{game}}.parquet",
    log:
        f"{RESULTS}/logs/literature_measure/{{game}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/literature_measure/{{game}}.tsv"
    conda:
        "../../environment.yml"
    params:
        n_starts=config["literature"]["n_starts"],
        step_size=config["literature"]["step_size"],
        seed=SEED,
    message:
        "Survey {wildcards.game}"
    shell:
        "pma-replicate literature measure {input.game:q} {input.equilibrium:q} --starts {params.n_starts}"
        " --step-size {params.step_size}"
        " --seed {params.seed} --out {output.facts:q} --out-equilibria {output.equilibria:q}"
        " --out-states {output.states:q} --log {log:q}"
