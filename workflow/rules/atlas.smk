rule atlas_measure:
    input:
        library("pma_replication.experiments.atlas.commands"),
        kernels=f"{RESULTS}/kernels.txt",
    output:
        f"{RESULTS}/points/atlas/{{batch}}.parquet",
    log:
        f"{RESULTS}/logs/atlas_measure/{{batch}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/atlas_measure/{{batch}}.tsv"
    conda:
        "../../environment.yml"
    params:
        # the games of the batch, so that a changed grid reruns only the batches that change
        games=lambda wildcards: ATLAS[int(wildcards.batch)],
        step_size=config["atlas"]["step_size"],
        n_starts=config["atlas"]["n_starts"],
        max_iterations=config["atlas"]["max_iterations"],
        n_agents=config["atlas"]["n_agents"],
        n_steps=config["atlas"]["n_steps"],
        n_replicates=config["atlas"]["n_replicates"],
        epsilon=config["atlas"]["epsilon"],
        n_visits=config["atlas"]["n_visits"],
        waiting_constant=config["atlas"]["waiting_constant"],
        max_samples=config["atlas"]["max_samples"],
        seed=SEED,
    message:
        "Examine batch {wildcards.batch} of the atlas"
    shell:
        "pma-replicate atlas measure {params.games:q} --step-size {params.step_size}"
        " --starts {params.n_starts}"
        " --max-iterations {params.max_iterations} --agents {params.n_agents} --steps {params.n_steps}"
        " --replicates {params.n_replicates} --epsilon {params.epsilon} --visits {params.n_visits}"
        " --waiting-constant {params.waiting_constant} --max-samples {params.max_samples} --seed {params.seed}"
        " --out {output:q} --log {log:q}"
