rule check_operators:
    input:
        library("checks", "equilibrium"),
        game=f"{RESULTS}/games/{{game}}.npz",
        equilibrium=f"{RESULTS}/equilibria/{{game}}.npz",
    output:
        f"{RESULTS}/points/ratios/{{game}}.parquet",
    log:
        f"{RESULTS}/logs/check/{{game}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/check/{{game}}.tsv"
    conda:
        "../../environment.yml"
    params:
        step_sizes=step_sizes("operator_checks"),
        n_pairs=config["operator_checks"]["n_pairs"],
        seed=SEED,
    message:
        "Search {wildcards.game} for pairs that beat a Lipschitz bound"
    shell:
        "pma-mfg check {input.game} {input.equilibrium} --step-sizes {params.step_sizes} --pairs {params.n_pairs}"
        " --seed {params.seed} --out {output} --log {log}"


rule converge:
    input:
        library("checks", "equilibrium"),
        game=f"{RESULTS}/games/{{game}}.npz",
        equilibrium=f"{RESULTS}/equilibria/{{game}}.npz",
    output:
        iterates=f"{RESULTS}/points/iterates/{{game}}.parquet",
        rates=f"{RESULTS}/points/rates/{{game}}.parquet",
    log:
        f"{RESULTS}/logs/converge/{{game}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/converge/{{game}}.tsv"
    conda:
        "../../environment.yml"
    params:
        step_sizes=step_sizes("convergence"),
        n_starts=config["convergence"]["n_starts"],
        max_iterations=config["convergence"]["max_iterations"],
        seed=SEED,
    message:
        "Run exact PMA on {wildcards.game} from several starts"
    shell:
        "pma-mfg converge {input.game} {input.equilibrium} --step-sizes {params.step_sizes}"
        " --starts {params.n_starts} --max-iterations {params.max_iterations} --seed {params.seed}"
        " --out-iterates {output.iterates} --out-rates {output.rates} --log {log}"
