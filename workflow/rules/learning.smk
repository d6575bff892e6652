rule warm_up:
    input:
        library("pma_replication.commands.warm_up"),
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
        "pma-replicate warm-up --out {output:q} --log {log:q}"


rule ctd_errors:
    input:
        library("pma_replication.experiments.ctd.commands"),
        kernels=f"{RESULTS}/kernels.txt",
        game=made_game,
        equilibrium=f"{RESULTS}/equilibria/{{game}}.npz",
    output:
        errors=f"{RESULTS}/points/ctd/{{game}}_{{n_agents}}.parquet",
        floor=f"{RESULTS}/points/ctd_floor/{{game}}_{{n_agents}}.parquet",
    log:
        f"{RESULTS}/logs/ctd_errors/{{game}}_{{n_agents}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/ctd_errors/{{game}}_{{n_agents}}.tsv"
    conda:
        "../../environment.yml"
    params:
        n_updates=config["ctd"]["n_updates"],
        # all waiting times in the largest population, the first one in the others
        n_waiting=lambda wildcards: (
            config["ctd"]["n_waiting"][: None if int(wildcards.n_agents) == max(config["ctd"]["populations"]) else 1]
        ),
        n_replicates=config["ctd"]["n_replicates"],
        other_replicates=config["ctd"]["other_replicates"],
        seed=SEED,
    message:
        "Learn the Q-function of {wildcards.game} with {wildcards.n_agents} agents"
    shell:
        "pma-replicate ctd errors {input.game:q} {input.equilibrium:q} --agents {wildcards.n_agents}"
        " --updates {params.n_updates}"
        " --waiting {params.n_waiting} --replicates {params.n_replicates} --other-replicates {params.other_replicates}"
        " --seed {params.seed} --out {output.errors:q} --out-floor {output.floor:q} --log {log:q}"


rule ctd_moments:
    input:
        library("pma_replication.experiments.ctd.commands"),
        game=made_game,
        equilibrium=f"{RESULTS}/equilibria/{{game}}.npz",
    output:
        f"{RESULTS}/points/moments/{{game}}.parquet",
    log:
        f"{RESULTS}/logs/ctd_moments/{{game}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/ctd_moments/{{game}}.tsv"
    conda:
        "../../environment.yml"
    params:
        n_updates=config["ctd"]["exact_updates"],
        n_waiting=config["ctd"]["exact_waiting"],
    message:
        "Compute the error of TD learning in {wildcards.game} exactly"
    shell:
        "pma-replicate ctd moments {input.game:q} {input.equilibrium:q} --updates {params.n_updates}"
        " --waiting {params.n_waiting}"
        " --out {output:q} --log {log:q}"


rule samples_tuned:
    input:
        library("pma_replication.experiments.samples.commands"),
        kernels=f"{RESULTS}/kernels.txt",
        game=made_game,
        equilibrium=f"{RESULTS}/equilibria/{{game}}.npz",
    output:
        f"{RESULTS}/points/samples_tuned/{{game}}_{{epsilon}}.parquet",
    log:
        f"{RESULTS}/logs/samples_tuned/{{game}}_{{epsilon}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/samples_tuned/{{game}}_{{epsilon}}.tsv"
    conda:
        "../../environment.yml"
    params:
        n_agents=config["samples_tuned"]["n_agents"],
        n_replicates=config["samples_tuned"]["n_replicates"],
        tuned=lambda wildcards: described(wildcards, "samples_tuned"),
        seed=SEED,
    message:
        "Learn in {wildcards.game} to accuracy {wildcards.epsilon}"
    shell:
        "pma-replicate samples tuned {input.game:q} {input.equilibrium:q} --agents {params.n_agents}"
        " --epsilon {wildcards.epsilon}"
        " --step-size {params.tuned[step_size]} --td-constant {params.tuned[td_constant]}"
        " --waiting-constant {params.tuned[waiting_constant]}"
        " --replicates {params.n_replicates} --seed {params.seed} --out {output:q} --log {log:q}"


rule samples_schedules:
    input:
        library("pma_replication.experiments.samples.commands"),
        game=made_game,
        equilibrium=f"{RESULTS}/equilibria/{{game}}.npz",
    output:
        f"{RESULTS}/points/samples_schedules/{{game}}.parquet",
    log:
        f"{RESULTS}/logs/samples_schedules/{{game}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/samples_schedules/{{game}}.tsv"
    conda:
        "../../environment.yml"
    params:
        epsilons=config["samples_prescribed"]["epsilons"],
        step_size=config["samples_prescribed"]["step_size"],
    message:
        "Compute what the theorem prescribes in {wildcards.game}"
    shell:
        "pma-replicate samples schedules {input.game:q} {input.equilibrium:q} --epsilons {params.epsilons}"
        " --step-size {params.step_size} --out {output:q} --log {log:q}"


rule samples_prescribed:
    input:
        library("pma_replication.experiments.samples.commands"),
        kernels=f"{RESULTS}/kernels.txt",
        game=made_game,
        equilibrium=f"{RESULTS}/equilibria/{{game}}.npz",
    output:
        f"{RESULTS}/points/samples_prescribed/{{game}}_{{epsilon}}.parquet",
    log:
        f"{RESULTS}/logs/samples_prescribed/{{game}}_{{epsilon}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/samples_prescribed/{{game}}_{{epsilon}}.tsv"
    conda:
        "../../environment.yml"
    params:
        n_agents=config["samples_prescribed"]["n_agents"],
        n_replicates=config["samples_prescribed"]["n_replicates"],
        step_size=config["samples_prescribed"]["step_size"],
        seed=SEED,
    message:
        "Learn in {wildcards.game} to accuracy {wildcards.epsilon} as the theorem prescribes"
    shell:
        "pma-replicate samples prescribed {input.game:q} {input.equilibrium:q} --agents {params.n_agents}"
        " --epsilon {wildcards.epsilon} --step-size {params.step_size}"
        " --replicates {params.n_replicates} --seed {params.seed} --out {output:q} --log {log:q}"


rule coupling_measure:
    input:
        library("pma_replication.experiments.coupling.commands"),
        kernels=f"{RESULTS}/kernels.txt",
        game=made_game,
        equilibrium=f"{RESULTS}/equilibria/{{game}}.npz",
    output:
        f"{RESULTS}/points/coupling/{{game}}.parquet",
    log:
        f"{RESULTS}/logs/coupling_measure/{{game}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/coupling_measure/{{game}}.tsv"
    conda:
        "../../environment.yml"
    params:
        rung=lambda wildcards: dict(sorted(described(wildcards, "coupling").items())),
        n_agents=config["coupling"]["n_agents"],
        n_waiting=config["coupling"]["n_waiting"],
        n_epochs=config["coupling"]["n_epochs"],
        step_size=config["coupling"]["step_size"],
        split=config["coupling"]["split"],
        accuracy=config["coupling"]["accuracy"],
        n_replicates=config["coupling"]["n_replicates"],
        seed=SEED,
    message:
        "Learn in {wildcards.game} with mirror ascent and with best response"
    shell:
        "pma-replicate coupling measure {input.game:q} {input.equilibrium:q} --agents {params.n_agents}"
        " --line {params.rung[line]} --updates {params.rung[updates]} --waiting {params.n_waiting}"
        " --epochs {params.n_epochs} --step-size {params.step_size} --split {params.split}"
        " --accuracy {params.accuracy} --replicates {params.n_replicates} --seed {params.seed} --out {output:q}"
        " --log {log:q}"


rule populations_learned:
    input:
        library("pma_replication.experiments.populations.commands"),
        kernels=f"{RESULTS}/kernels.txt",
        game=made_game,
        equilibrium=f"{RESULTS}/equilibria/{{game}}.npz",
    output:
        f"{RESULTS}/points/populations_learned/{{game}}.parquet",
    log:
        f"{RESULTS}/logs/populations_learned/{{game}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/populations_learned/{{game}}.tsv"
    conda:
        "../../environment.yml"
    params:
        populations=config["populations_learned"]["populations"],
        n_updates=config["populations_learned"]["n_updates"],
        n_epochs=config["populations_learned"]["n_epochs"],
        step_size=config["populations_learned"]["step_size"],
        n_replicates=config["populations_learned"]["n_replicates"],
        seed=SEED,
    message:
        "Learn in {wildcards.game} from finitely many agents"
    shell:
        "pma-replicate populations learned {input.game:q} {input.equilibrium:q} --agents {params.populations}"
        " --updates {params.n_updates} --epochs {params.n_epochs} --step-size {params.step_size}"
        " --replicates {params.n_replicates} --seed {params.seed} --out {output:q} --log {log:q}"


rule populations_bias:
    input:
        library("pma_replication.experiments.populations.commands"),
        kernels=f"{RESULTS}/kernels.txt",
        game=made_game,
        equilibrium=f"{RESULTS}/equilibria/{{game}}.npz",
    output:
        f"{RESULTS}/points/populations_bias/{{game}}.parquet",
    log:
        f"{RESULTS}/logs/populations_bias/{{game}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/populations_bias/{{game}}.tsv"
    conda:
        "../../environment.yml"
    params:
        populations=config["populations_bias"]["populations"],
        n_steps=config["populations_bias"]["n_steps"],
        n_replicates=config["populations_bias"]["n_replicates"],
        seed=SEED,
    message:
        "Average {wildcards.game}"
    shell:
        "pma-replicate populations bias {input.game:q} {input.equilibrium:q} --agents {params.populations}"
        " --steps {params.n_steps}"
        " --replicates {params.n_replicates} --seed {params.seed} --out {output:q} --log {log:q}"


rule populations_exact:
    input:
        library("pma_replication.experiments.populations.commands"),
        kernels=f"{RESULTS}/kernels.txt",
        game=made_game,
        equilibrium=f"{RESULTS}/equilibria/{{game}}.npz",
    output:
        f"{RESULTS}/points/populations_exact/{{game}}.parquet",
    log:
        f"{RESULTS}/logs/populations_exact/{{game}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/populations_exact/{{game}}.tsv"
    conda:
        "../../environment.yml"
    params:
        populations=config["populations_exact"]["populations"],
        step_size=config["populations_exact"]["step_size"],
    message:
        "Solve the N-agent game of {wildcards.game} exactly"
    shell:
        "pma-replicate populations exact {input.game:q} {input.equilibrium:q} --agents {params.populations}"
        " --step-size {params.step_size} --out {output:q} --log {log:q}"


rule populations_agreement:
    input:
        library("pma_replication.experiments.populations.commands"),
        kernels=f"{RESULTS}/kernels.txt",
        game=made_game,
        equilibrium=f"{RESULTS}/equilibria/{{game}}.npz",
    output:
        f"{RESULTS}/points/populations_agreement/{{game}}.parquet",
    log:
        f"{RESULTS}/logs/populations_agreement/{{game}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/populations_agreement/{{game}}.tsv"
    conda:
        "../../environment.yml"
    params:
        populations=config["populations_agreement"]["populations"],
        n_steps=config["populations_agreement"]["n_steps"],
        n_replicates=config["populations_agreement"]["n_replicates"],
        seed=SEED,
    message:
        "Compare the simulation of {wildcards.game} with the exact limit"
    shell:
        "pma-replicate populations agreement {input.game:q} {input.equilibrium:q} --agents {params.populations}"
        " --steps {params.n_steps}"
        " --replicates {params.n_replicates} --seed {params.seed} --out {output:q} --log {log:q}"


rule nash_measure:
    input:
        library("pma_replication.experiments.nash.commands"),
        kernels=f"{RESULTS}/kernels.txt",
        game=made_game,
        equilibrium=f"{RESULTS}/equilibria/{{game}}.npz",
    output:
        f"{RESULTS}/points/nash/{{game}}.parquet",
    log:
        f"{RESULTS}/logs/nash_measure/{{game}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/nash_measure/{{game}}.tsv"
    conda:
        "../../environment.yml"
    params:
        populations=config["nash"]["populations"],
    message:
        "Compute what a deviator gains in {wildcards.game}"
    shell:
        "pma-replicate nash measure {input.game:q} {input.equilibrium:q} --agents {params.populations}"
        " --out {output:q} --log {log:q}"


rule nash_learned:
    input:
        library("pma_replication.experiments.nash.commands"),
        kernels=f"{RESULTS}/kernels.txt",
        game=made_game,
        equilibrium=f"{RESULTS}/equilibria/{{game}}.npz",
    output:
        f"{RESULTS}/points/nash_learned/{{game}}.parquet",
    log:
        f"{RESULTS}/logs/nash_learned/{{game}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/nash_learned/{{game}}.tsv"
    conda:
        "../../environment.yml"
    params:
        n_agents=config["nash_learned"]["n_agents"],
        updates=config["nash_learned"]["updates"],
        n_epochs=config["nash_learned"]["n_epochs"],
        step_size=config["nash_learned"]["step_size"],
        n_replicates=config["nash_learned"]["n_replicates"],
        seed=SEED,
    message:
        "Compute what a deviator gains at policies learned in {wildcards.game}"
    shell:
        "pma-replicate nash learned {input.game:q} {input.equilibrium:q} --agents {params.n_agents}"
        " --updates {params.updates} --epochs {params.n_epochs} --step-size {params.step_size}"
        " --replicates {params.n_replicates} --seed {params.seed} --out {output:q} --log {log:q}"


rule independent_measure:
    input:
        library("pma_replication.experiments.independent.commands"),
        kernels=f"{RESULTS}/kernels.txt",
        game=made_game,
        equilibrium=f"{RESULTS}/equilibria/{{game}}.npz",
    output:
        f"{RESULTS}/points/independent/{{game}}_{{sweep}}.parquet",
    log:
        f"{RESULTS}/logs/independent_measure/{{game}}_{{sweep}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/independent_measure/{{game}}_{{sweep}}.tsv"
    conda:
        "../../environment.yml"
    params:
        settings=independent_settings,
        seed=SEED,
    message:
        "Learn independently in {wildcards.game}: {wildcards.sweep}"
    shell:
        "pma-replicate independent measure {input.game:q} {input.equilibrium:q} {params.settings}"
        " --sweep {wildcards.sweep}"
        " --seed {params.seed} --out {output:q} --log {log:q}"


rule independent_games:
    input:
        library("pma_replication.experiments.independent.commands"),
        kernels=f"{RESULTS}/kernels.txt",
        game=made_game,
        equilibrium=f"{RESULTS}/equilibria/{{game}}.npz",
    output:
        f"{RESULTS}/points/independent_games/{{game}}_{{starts}}.parquet",
    log:
        f"{RESULTS}/logs/independent_games/{{game}}_{{starts}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/independent_games/{{game}}_{{starts}}.tsv"
    # the longest job of the run: begun last, it would end alone
    priority: 1
    conda:
        "../../environment.yml"
    params:
        # sorted, so that another order of the keys in the file reruns nothing
        alone=lambda wildcards: dict(sorted(described(wildcards, "independent_games").items())),
        populations=config["independent_games"]["populations"],
        n_waiting=config["independent_games"]["n_waiting"],
        start_left=config["independent_games"]["start_left"],
        n_replicates=config["independent_games"]["n_replicates"],
        unequal=lambda wildcards: "--unequal-starts" if wildcards.starts == "unequal" else "",
        seed=SEED,
    message:
        "Learn independently in {wildcards.game}, from {wildcards.starts} starts"
    shell:
        "pma-replicate independent measure {input.game:q} {input.equilibrium:q} --agents {params.populations}"
        " --step-size {params.alone[step_size]} --updates {params.alone[updates]} --waiting {params.n_waiting}"
        " --start-left {params.start_left} --replicates {params.n_replicates} {params.unequal}"
        " --sweep {wildcards.starts} --seed {params.seed} --out {output:q} --log {log:q}"


rule independent_epsilons:
    input:
        library("pma_replication.experiments.independent.commands"),
        kernels=f"{RESULTS}/kernels.txt",
        game=made_game,
        equilibrium=f"{RESULTS}/equilibria/{{game}}.npz",
    output:
        agents=f"{RESULTS}/points/independent/{{game}}_epsilons.parquet",
        learning=f"{RESULTS}/points/independent_epsilon/{{game}}.parquet",
    log:
        f"{RESULTS}/logs/independent_epsilons/{{game}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/independent_epsilons/{{game}}.tsv"
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
        "pma-replicate independent measure {input.game:q} {input.equilibrium:q} --agents {params.n_agents}"
        " --epsilon {params.epsilons}"
        " --step-size {params.step_size} --td-constant {params.td_constant}"
        " --waiting-constant {params.waiting_constant}"
        " --replicates {params.n_replicates} --sweep epsilons --seed {params.seed} --out {output.agents:q}"
        " --out-learning {output.learning:q} --log {log:q}"


rule scaling_measure:
    input:
        library("pma_replication.experiments.scaling.commands"),
        kernels=f"{RESULTS}/kernels.txt",
    output:
        f"{RESULTS}/points/scaling/{{line}}.parquet",
    log:
        f"{RESULTS}/logs/scaling_measure/{{line}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/scaling_measure/{{line}}.tsv"
    wildcard_constraints:
        line="[A-Za-z][A-Za-z0-9_-]*",
    conda:
        "../../environment.yml"
    params:
        games=line_arguments,
        epsilon=lambda wildcards: config["scaling"]["lines"][wildcards.line]["epsilon"],
        step_size=lambda wildcards: config["scaling"]["lines"][wildcards.line]["step_size"],
        n_epochs=lambda wildcards: config["scaling"]["lines"][wildcards.line]["n_epochs"],
        n_last=config["scaling"]["n_last"],
        factors=config["scaling"]["factors"],
        n_agents=config["scaling"]["n_agents"],
        n_replicates=config["scaling"]["n_replicates"],
        seed=SEED,
    message:
        "Learn the games of the line {wildcards.line}"
    shell:
        "pma-replicate scaling measure {wildcards.line} {params.games} --epsilon {params.epsilon}"
        " --step-size {params.step_size} --epochs {params.n_epochs} --last {params.n_last} --factors {params.factors}"
        " --agents {params.n_agents} --replicates {params.n_replicates} --seed {params.seed}"
        " --out {output:q} --log {log:q}"


rule networked_measure:
    input:
        library("pma_replication.experiments.networked.commands"),
        kernels=f"{RESULTS}/kernels.txt",
    output:
        f"{RESULTS}/points/networked/{{game}}.parquet",
    log:
        f"{RESULTS}/logs/networked_measure/{{game}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/networked_measure/{{game}}.tsv"
    conda:
        "../../environment.yml"
    params:
        settings=networked_arguments,
        evaluation_steps=config["networked"]["evaluation_steps"],
        n_agents=config["networked"]["n_agents"],
        n_measured=config["networked"]["n_measured"],
        n_replicates=config["networked"]["n_replicates"],
        seed=SEED,
    message:
        "Learn {wildcards.game} with agents that pass their policies on"
    shell:
        "pma-replicate networked measure {wildcards.game} {params.settings}"
        " --evaluation-steps {params.evaluation_steps} --agents {params.n_agents}"
        " --measured {params.n_measured} --replicates {params.n_replicates} --seed {params.seed}"
        " --out {output:q} --log {log:q}"


rule regularization_anneal:
    input:
        library("pma_replication.experiments.regularization.commands"),
        kernels=f"{RESULTS}/kernels.txt",
        game=made_game,
    output:
        f"{RESULTS}/points/annealing/{{game}}.parquet",
    log:
        f"{RESULTS}/logs/regularization_anneal/{{game}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/regularization_anneal/{{game}}.tsv"
    conda:
        "../../environment.yml"
    params:
        regularizer=lambda wildcards: described(wildcards)["regularizer"],
        accuracies=config["regularization_annealing"]["accuracies"],
        ascent_steps=config["regularization_annealing"]["ascent_steps"],
        n_epochs=config["regularization_annealing"]["n_epochs"],
        updates=config["regularization_annealing"]["relative_updates"],
        n_agents=config["regularization_annealing"]["n_agents"],
        n_pilots=config["regularization_annealing"]["n_pilots"],
        n_replicates=config["regularization_annealing"]["n_replicates"],
        seed=SEED,
    message:
        "Learn {wildcards.game} with less and less regularization"
    shell:
        "pma-replicate regularization anneal {input.game:q} --regularizer {params.regularizer}"
        " --accuracies {params.accuracies} --ascent-steps {params.ascent_steps} --epochs {params.n_epochs}"
        " --updates {params.updates} --agents {params.n_agents} --pilots {params.n_pilots}"
        " --replicates {params.n_replicates} --seed {params.seed} --out {output:q} --log {log:q}"
