rule compare:
    input:
        library("baselines", "equilibrium"),
        kernels=f"{RESULTS}/kernels.txt",
        game=f"{RESULTS}/games/{{game}}.npz",
        equilibrium=f"{RESULTS}/equilibria/{{game}}.npz",
    output:
        comparison=f"{RESULTS}/points/comparison/{{game}}.parquet",
        tuning=f"{RESULTS}/points/tuning/{{game}}.parquet",
        accuracies=f"{RESULTS}/points/samples_to_accuracy/{{game}}.parquet",
    log:
        f"{RESULTS}/logs/compare/{{game}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/compare/{{game}}.tsv"
    conda:
        "../../environment.yml"
    params:
        section=config["comparison"],
        grid=[
            f"{method}.{name}={','.join(map(str, values))}"
            for method, grid in config["comparison"]["methods"].items()
            for name, values in grid.items()
        ],
        confidence=config["claims"]["confidence"],
        seed=SEED,
    message:
        "Compare PMA on one trajectory of {wildcards.game} with methods that have a generative model"
    shell:
        "pma-mfg compare {input.game} {input.equilibrium} --agents {params.section[n_agents]} --grid {params.grid}"
        " --budget {params.section[budget]} --pilot-budget {params.section[pilot_budget]}"
        " --per-decade {params.section[per_decade]} --target {params.section[target]}"
        " --accuracies {params.section[accuracies]} --confidence {params.confidence}"
        " --pilots {params.section[n_pilots]} --replicates {params.section[n_replicates]} --seed {params.seed}"
        " --out {output.comparison} --out-tuning {output.tuning} --out-accuracies {output.accuracies} --log {log}"
