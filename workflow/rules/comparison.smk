rule comparison_measure:
    input:
        library("pma_replication.experiments.comparison.commands"),
        kernels=f"{RESULTS}/kernels.txt",
        game=f"{RESULTS}/games/{{game}}.npz",
        equilibrium=f"{RESULTS}/equilibria/{{game}}.npz",
    output:
        comparison=f"{RESULTS}/points/comparison/{{game}}.parquet",
        tuning=f"{RESULTS}/points/tuning/{{game}}.parquet",
        accuracies=f"{RESULTS}/points/samples_to_accuracy/{{game}}.parquet",
    log:
        f"{RESULTS}/logs/comparison_measure/{{game}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/comparison_measure/{{game}}.tsv"
    conda:
        "../../environment.yml"
    params:
        n_agents=config["comparison"]["n_agents"],
        # sorted: another order of the same values in the configuration reruns nothing
        grid=sorted(
            f"{method}.{name}={','.join(map(str, values))}"
            for method, grid in config["comparison"]["methods"].items()
            for name, values in grid.items()
        ),
        budget=config["comparison"]["budget"],
        pilot_budget=config["comparison"]["pilot_budget"],
        per_decade=config["comparison"]["per_decade"],
        target=config["comparison"]["target"],
        accuracies=config["comparison"]["accuracies"],
        confidence=config["claims"]["confidence"],
        n_pilots=config["comparison"]["n_pilots"],
        n_replicates=config["comparison"]["n_replicates"],
        seed=SEED,
    message:
        "Compare PMA on one trajectory of {wildcards.game} with methods that have a generative model"
    shell:
        "pma-replicate comparison measure {input.game:q} {input.equilibrium:q} --agents {params.n_agents}"
        " --grid {params.grid}"
        " --budget {params.budget} --pilot-budget {params.pilot_budget}"
        " --per-decade {params.per_decade} --target {params.target}"
        " --accuracies {params.accuracies} --confidence {params.confidence}"
        " --pilots {params.n_pilots} --replicates {params.n_replicates} --seed {params.seed}"
        " --out {output.comparison:q} --out-tuning {output.tuning:q} --out-accuracies {output.accuracies:q}"
        " --log {log:q}"


rule one_trajectory_measure:
    input:
        library("pma_replication.experiments.one_trajectory.commands"),
        own_methods(option=False),
        kernels=f"{RESULTS}/kernels.txt",
        game=f"{RESULTS}/games/{{game}}.npz",
        equilibrium=f"{RESULTS}/equilibria/{{game}}.npz",
    output:
        runs=f"{RESULTS}/points/one_trajectory/{{game}}.parquet",
        samples=f"{RESULTS}/points/one_trajectory_samples/{{game}}.parquet",
    log:
        f"{RESULTS}/logs/one_trajectory_measure/{{game}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/one_trajectory_measure/{{game}}.tsv"
    conda:
        "../../environment.yml"
    params:
        n_agents=config["one_trajectory"]["n_agents"],
        # sorted: another order of the same values in the configuration reruns nothing
        grid=sorted(
            f"{method}.{name}={','.join(map(str, values))}"
            for method, grid in config["one_trajectory"]["methods"].items()
            for name, values in grid.items()
            if name != "file"
        ),
        files=own_methods(),
        budget=config["one_trajectory"]["budget"],
        per_decade=config["one_trajectory"]["per_decade"],
        target=config["one_trajectory"]["target"],
        accuracies=config["one_trajectory"]["accuracies"],
        confidence=config["claims"]["confidence"],
        n_replicates=config["one_trajectory"]["n_replicates"],
        shorter=(
            "--shorter {}".format(config["one_trajectory"]["shorter"])
            if config["one_trajectory"].get("shorter")
            else ""
        ),
        seed=SEED,
    message:
        "Run many methods on one trajectory of {wildcards.game}"
    shell:
        "pma-replicate one_trajectory measure {input.game:q} {input.equilibrium:q} --agents {params.n_agents}"
        " --grid {params.grid} {params.files}"
        " --budget {params.budget} --per-decade {params.per_decade} --target {params.target}"
        " --accuracies {params.accuracies} --confidence {params.confidence}"
        " --replicates {params.n_replicates} {params.shorter} --seed {params.seed}"
        " --out {output.runs:q} --out-samples {output.samples:q} --log {log:q}"
