def is_generated(wildcards):
    return "family" in config["games"][wildcards.game]


def game_arguments(wildcards):
    game = config["games"][wildcards.game]
    if "file" in game:
        return f"validate {game['file']}"
    return " ".join(["generate", game["family"], *(f"{name}={value}" for name, value in game["parameters"].items())])


rule game:
    input:
        library("games"),
        lambda wildcards: [] if is_generated(wildcards) else config["games"][wildcards.game]["file"],
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
        "pma-mfg {params.arguments} --out {output} --log {log}"


rule solve:
    input:
        library("equilibrium"),
        game=f"{RESULTS}/games/{{game}}.npz",
    output:
        equilibrium=f"{RESULTS}/equilibria/{{game}}.npz",
        table=f"{RESULTS}/points/equilibria/{{game}}.parquet",
    log:
        f"{RESULTS}/logs/solve/{{game}}.log",
    benchmark:
        f"{RESULTS}/benchmarks/solve/{{game}}.tsv"
    conda:
        "../../environment.yml"
    params:
        regularizer=lambda wildcards: config["games"][wildcards.game]["regularizer"],
        strength=lambda wildcards: config["games"][wildcards.game]["strength"],
    message:
        "Solve {wildcards.game} exactly"
    shell:
        "pma-mfg solve {input.game} --regularizer {params.regularizer} --strength {params.strength}"
        " --out {output.equilibrium} --out-table {output.table} --log {log}"
