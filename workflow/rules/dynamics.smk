rule dynamics_measure:
    input:
        library("pma_replication.experiments.dynamics.commands"),
        game=made_game,
        equilibrium=f"{RESULTS}/equilibria/{{game}}.npz",
    output:
        histories=f"{RESULTS}/points/histories/{{game}}.parquet",
        outcomes=f"{RESULTS}/points/outcomes/{{game}}.parquet",
        orbits=f"{RESULTS}/points/orbits/{{game}}.parquet",
        # seconds differ from run to run, so they are in none of the results' tables
        seconds=f"{RESULTS}/benchmarks/seconds/{{game}}.parquet",
    log:
        f"{RESULTS}/logs/dynamics_measure/{{game}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/dynamics_measure/{{game}}.tsv"
    conda:
        "../../environment.yml"
    params:
        n_starts=config["dynamics"]["n_starts"],
        max_iterations=config["dynamics"]["max_iterations"],
        seed=SEED,
    message:
        "Run exact methods side by side on {wildcards.game}"
    shell:
        "pma-replicate dynamics measure {input.game:q} {input.equilibrium:q} --starts {params.n_starts}"
        " --max-iterations {params.max_iterations} --seed {params.seed} --out-histories {output.histories:q}"
        " --out-outcomes {output.outcomes:q} --out-orbits {output.orbits:q} --out-seconds {output.seconds:q}"
        " --log {log:q}"


rule orbit_measure:
    input:
        library("pma_replication.experiments.orbit.commands"),
        game=made_game,
        equilibrium=f"{RESULTS}/equilibria/{{game}}.npz",
    output:
        damping=f"{RESULTS}/points/damping/{{game}}.parquet",
        attractors=f"{RESULTS}/points/attractors/{{game}}.parquet",
    log:
        f"{RESULTS}/logs/orbit_measure/{{game}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/orbit_measure/{{game}}.tsv"
    conda:
        "../../environment.yml"
    params:
        strengths=lambda wildcards: config["orbit"]["games"][wildcards.game],
        step_shares=config["orbit"]["step_shares"],
        n_starts=config["orbit"]["n_starts"],
        max_iterations=config["orbit"]["max_iterations"],
        seed=SEED,
    message:
        "Weaken the regularizer of {wildcards.game}"
    shell:
        "pma-replicate orbit measure {input.game:q} {input.equilibrium:q} --strengths {params.strengths}"
        " --step-shares {params.step_shares} --starts {params.n_starts} --max-iterations {params.max_iterations}"
        " --seed {params.seed} --out {output.damping:q} --out-attractors {output.attractors:q} --log {log:q}"


rule basins_measure:
    input:
        library("pma_replication.experiments.basins.commands"),
        game=made_game,
        equilibrium=f"{RESULTS}/equilibria/{{game}}.npz",
    output:
        departures=f"{RESULTS}/points/departures/{{game}}.parquet",
        basins=f"{RESULTS}/points/basins/{{game}}.parquet",
        several=f"{RESULTS}/points/several/{{game}}.parquet",
    log:
        f"{RESULTS}/logs/basins_measure/{{game}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/basins_measure/{{game}}.tsv"
    conda:
        "../../environment.yml"
    params:
        step_sizes=config["basins"]["step_sizes"],
        n_starts=config["basins"]["n_starts"],
        max_iterations=config["basins"]["max_iterations"],
        seed=SEED,
    message:
        "Find the equilibria that PMA leaves and reaches in {wildcards.game}"
    shell:
        "pma-replicate basins measure {input.game:q} {input.equilibrium:q} --step-sizes {params.step_sizes}"
        " --starts {params.n_starts} --max-iterations {params.max_iterations} --seed {params.seed}"
        " --out-departures {output.departures:q} --out-basins {output.basins:q} --out-several {output.several:q}"
        " --log {log:q}"
