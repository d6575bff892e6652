rule warm_up:
    input:
        library("kernels", "agent_kernels"),
    output:
        f"{RESULTS}/kernels.txt",
    log:
        f"{RESULTS}/logs/warm_up.log",
    benchmark:
        f"{RESULTS}/benchmarks/warm_up.tsv"
    conda:
        "../../environment.yml"
    message:
        "Compile the kernels once, before jobs run in parallel"
    shell:
        "pma-mfg warm-up --out {output} --log {log}"


rule ctd:
    input:
        library("sweeps", "equilibrium"),
        kernels=f"{RESULTS}/kernels.txt",
        game=f"{RESULTS}/games/{{game}}.npz",
        equilibrium=f"{RESULTS}/equilibria/{{game}}.npz",
    output:
        f"{RESULTS}/points/ctd/{{game}}.parquet",
    log:
        f"{RESULTS}/logs/ctd/{{game}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/ctd/{{game}}.tsv"
    conda:
        "../../environment.yml"
    params:
        n_agents=config["ctd"]["n_agents"],
        n_updates=config["ctd"]["n_updates"],
        n_waiting=config["ctd"]["n_waiting"],
        n_replicates=config["ctd"]["n_replicates"],
        seed=SEED,
    message:
        "Learn the Q-function of {wildcards.game}"
    shell:
        "pma-mfg ctd {input.game} {input.equilibrium} --agents {params.n_agents} --updates {params.n_updates}"
        " --waiting {params.n_waiting} --replicates {params.n_replicates} --seed {params.seed} --out {output} --log {log}"


rule learn_epsilon:
    input:
        library("sweeps", "equilibrium"),
        kernels=f"{RESULTS}/kernels.txt",
        game=f"{RESULTS}/games/{{game}}.npz",
        equilibrium=f"{RESULTS}/equilibria/{{game}}.npz",
    output:
        f"{RESULTS}/points/epsilon/{{game}}_{{epsilon}}.parquet",
    log:
        f"{RESULTS}/logs/epsilon/{{game}}_{{epsilon}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/epsilon/{{game}}_{{epsilon}}.tsv"
    conda:
        "../../environment.yml"
    params:
        n_agents=config["epsilon_sweep"]["n_agents"],
        n_replicates=config["epsilon_sweep"]["n_replicates"],
        step_size=config["epsilon_sweep"]["step_size"],
        td_constant=config["epsilon_sweep"]["td_constant"],
        waiting_constant=config["epsilon_sweep"]["waiting_constant"],
        seed=SEED,
    message:
        "Learn in {wildcards.game} to accuracy {wildcards.epsilon}"
    shell:
        "pma-mfg learn {input.game} {input.equilibrium} --agents {params.n_agents} --epsilon {wildcards.epsilon}"
        " --step-size {params.step_size} --td-constant {params.td_constant} --waiting-constant {params.waiting_constant}"
        " --replicates {params.n_replicates} --seed {params.seed} --out {output} --log {log}"


rule learn_population:
    input:
        library("sweeps", "equilibrium"),
        kernels=f"{RESULTS}/kernels.txt",
        game=f"{RESULTS}/games/{{game}}.npz",
        equilibrium=f"{RESULTS}/equilibria/{{game}}.npz",
    output:
        f"{RESULTS}/points/population/{{game}}_{{n_agents}}.parquet",
    log:
        f"{RESULTS}/logs/population/{{game}}_{{n_agents}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/population/{{game}}_{{n_agents}}.tsv"
    conda:
        "../../environment.yml"
    params:
        epsilon=config["population_sweep"]["epsilon"],
        n_replicates=config["population_sweep"]["n_replicates"],
        step_size=config["population_sweep"]["step_size"],
        td_constant=config["population_sweep"]["td_constant"],
        waiting_constant=config["population_sweep"]["waiting_constant"],
        seed=SEED,
    message:
        "Learn in {wildcards.game} with {wildcards.n_agents} agents"
    shell:
        "pma-mfg learn {input.game} {input.equilibrium} --agents {wildcards.n_agents} --epsilon {params.epsilon}"
        " --step-size {params.step_size} --td-constant {params.td_constant} --waiting-constant {params.waiting_constant}"
        " --replicates {params.n_replicates} --seed {params.seed} --out {output} --log {log}"


rule bias:
    input:
        library("sweeps", "equilibrium"),
        kernels=f"{RESULTS}/kernels.txt",
        game=f"{RESULTS}/games/{{game}}.npz",
        equilibrium=f"{RESULTS}/equilibria/{{game}}.npz",
    output:
        f"{RESULTS}/points/bias/{{game}}_{{n_agents}}.parquet",
    log:
        f"{RESULTS}/logs/bias/{{game}}_{{n_agents}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/bias/{{game}}_{{n_agents}}.tsv"
    conda:
        "../../environment.yml"
    params:
        n_steps=config["bias"]["n_steps"],
        n_replicates=config["bias"]["n_replicates"],
        seed=SEED,
    message:
        "Average {wildcards.game} with {wildcards.n_agents} agents"
    shell:
        "pma-mfg bias {input.game} {input.equilibrium} --agents {wildcards.n_agents} --steps {params.n_steps}"
        " --replicates {params.n_replicates} --seed {params.seed} --out {output} --log {log}"


rule limits:
    input:
        library("sweeps", "equilibrium"),
        kernels=f"{RESULTS}/kernels.txt",
        game=f"{RESULTS}/games/{{game}}.npz",
        equilibrium=f"{RESULTS}/equilibria/{{game}}.npz",
    output:
        f"{RESULTS}/points/limits/{{game}}.parquet",
    log:
        f"{RESULTS}/logs/limits/{{game}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/limits/{{game}}.tsv"
    conda:
        "../../environment.yml"
    params:
        populations=config["population_sweep"]["populations"],
        step_size=config["population_sweep"]["step_size"],
    message:
        "Predict where learning in {wildcards.game} ends"
    shell:
        "pma-mfg limits {input.game} {input.equilibrium} --agents {params.populations}"
        " --step-size {params.step_size} --out {output} --log {log}"


rule independent:
    input:
        library("sweeps", "equilibrium"),
        kernels=f"{RESULTS}/kernels.txt",
        game=f"{RESULTS}/games/{{game}}.npz",
        equilibrium=f"{RESULTS}/equilibria/{{game}}.npz",
    output:
        f"{RESULTS}/points/independent/{{game}}_{{sweep}}.parquet",
    log:
        f"{RESULTS}/logs/independent/{{game}}_{{sweep}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/independent/{{game}}_{{sweep}}.tsv"
    conda:
        "../../environment.yml"
    params:
        settings=independent_settings,
        seed=SEED,
    message:
        "Learn independently in {wildcards.game}: {wildcards.sweep}"
    shell:
        "pma-mfg independent {input.game} {input.equilibrium} {params.settings} --sweep {wildcards.sweep}"
        " --seed {params.seed} --out {output} --log {log}"


rule independent_epsilon:
    input:
        library("sweeps", "equilibrium"),
        kernels=f"{RESULTS}/kernels.txt",
        game=f"{RESULTS}/games/{{game}}.npz",
        equilibrium=f"{RESULTS}/equilibria/{{game}}.npz",
    output:
        agents=f"{RESULTS}/points/independent_agents/{{game}}.parquet",
        learning=f"{RESULTS}/points/independent_epsilon/{{game}}.parquet",
    log:
        f"{RESULTS}/logs/independent_epsilon/{{game}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/independent_epsilon/{{game}}.tsv"
    conda:
        "../../environment.yml"
    params:
        n_agents=config["independent"]["n_agents"],
        epsilons=config["independent"]["epsilons"],
        n_replicates=config["independent"]["n_replicates"],
        step_size=config["independent"]["step_size"],
        td_constant=config["independent"]["td_constant"],
        waiting_constant=config["independent"]["waiting_constant"],
        seed=SEED,
    message:
        "Learn independently in {wildcards.game} to several accuracies"
    shell:
        "pma-mfg independent {input.game} {input.equilibrium} --agents {params.n_agents} --epsilon {params.epsilons}"
        " --step-size {params.step_size} --td-constant {params.td_constant} --waiting-constant {params.waiting_constant}"
        " --replicates {params.n_replicates} --sweep epsilons --seed {params.seed} --out {output.agents}"
        " --out-learning {output.learning} --log {log}"
