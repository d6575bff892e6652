import atexit
import functools
import os
import shlex
import subprocess
import sys
import uuid
from pathlib import Path

from pma_mfg import processes
from pma_mfg.errors import InputError
from pma_replication import configuration, registry
from pma_replication.commands import claims as judging
from pma_replication.experiments.atlas.settings import batches
from pma_replication.experiments.independent import SWEEPS
from pma_replication.experiments.networked.arms import arms_of
from pma_replication.runs import level, locks, sources, warm
from snakemake.exceptions import WorkflowError

# the folder of the workflow's own files: not workflow.basedir, which depends on the Snakefile that was called
ROOT = Path(str(workflow.current_basedir)).resolve().parents[1]
CONFIGURED = [os.path.relpath(path) for path in workflow.overwrite_configfiles] or ["config/config.yaml"]
try:
    locks.refuse_another_checkout(ROOT)
    for path in CONFIGURED:
        configuration.read(path)  # Snakemake, which has read it by itself, takes 010 for 8
    # games that stay Python functions; functions that are recognized become arrays, as all other games are
    FUNCTIONS = configuration.check(config, " + ".join(CONFIGURED))
except InputError as error:
    raise WorkflowError(str(error))


class LeftOut(dict):
    """A section that the configuration leaves out: no games, no settings; its rules stay, and nothing asks for them."""

    def __missing__(self, key):
        return LeftOut()


onstart:
    # only one run at a time in a folder, also if it was started by `snakemake` itself
    locks.lock(".snakemake")
    # Snakemake's limit of 100 started jobs a second, which no option takes away, makes it look at all waiting jobs
    # again once a second for every job that has ended: a third of a core (docs/scheduler.md). Another limit stays.
    limit = getattr(getattr(workflow, "scheduler", None), "job_rate_limiter", None)
    if limit is not None and (limit.max_jobs, limit.timespan) == (100, 1):
        workflow.scheduler.job_rate_limiter = None
    if sys.platform == "linux":  # jobs are copies of a process that has imported what they need
        serve = "import sys; from pma_replication.runs import warm; warm.serve(*sys.argv[1:])"
        loaded = subprocess.Popen(
            # -P: modules are looked for where pma-replicate looks for them, and not in this folder
            [sys.executable, "-P", "-c", serve, WARM, f"{RESULTS}/kernels.txt"],
            env=os.environ | VARIABLES,
            stdin=subprocess.DEVNULL,
        )
        atexit.register(loaded.wait)  # its time, and that of the jobs, is a part of the run's
        atexit.register(loaded.kill)


for section in (*configuration.SECTIONS, "claims"):
    config.setdefault(section, LeftOut())

# Jobs find the pma-replicate of this environment, also where it was not activated. `exec` puts it in the place of the
# shell, so that its parent is Snakemake, and it ends when Snakemake does. (Snakemake's process number is written down
# here, and the shell's $PPID is not asked: Snakemake may be killed before the shell looks who its parent is.) All jobs
# use the same instructions, whatever the processor. WARM names the process that jobs of this Snakemake are copies of:
# one that it starts in Slurm reads this file too, has another name, and no such process, so that its jobs load what they
# need by themselves, and are measured and limited where they run.
WARM = uuid.uuid4().hex
VARIABLES = {processes.PARENT: str(os.getpid()), warm.NAME: WARM, **level.environment()}
exported = " ".join(f"{name}={shlex.quote(value)}" for name, value in VARIABLES.items())
shell.prefix(f"export PATH={shlex.quote(str(Path(sys.executable).parent))}:$PATH {exported}; exec ")

for folder in ("results", "figures"):
    config[folder] = os.path.normpath(config[folder])  # Snakemake compares paths letter by letter
RESULTS = config["results"]
SEED = config["seed"]
# table -> the files it joins; what the configuration leaves out has no table, no claim and no figure
TABLES = {
    name: [f"{RESULTS}/points/{point}.parquet" for point in points] for name, points in registry.points(config).items()
}
FIGURES = registry.drawn(TABLES)
# the games of the atlas, as `pma-replicate atlas measure` takes them: one job per batch
ATLAS = batches(config)
# the source files of modules and of all that they import; a job depends on no other source file
library = functools.partial(sources.library, ROOT)


class Captions(dict):
    """Figure -> its words, for report/figure.rst, which finds them in the configuration; read when first asked for."""

    def __missing__(self, figure):
        from pma_replication import report  # slow to import, and only a report asks

        return report.FIGURES[figure]


config["captions"] = Captions()


wildcard_constraints:
    game="[A-Za-z][A-Za-z0-9_-]*",
    n_agents="[0-9]+",
    batch="[0-9]+",
    epsilon="[0-9.e-]+",
    sweep="|".join(SWEEPS),


def described(wildcards, section=None):
    """What the configuration, or a section, says of a job's game; of a game that is not there, one line."""
    settings, field = (config[section]["games"], f"{section}.games") if section else (config["games"], "games")
    try:
        return configuration.described(settings, wildcards.game, " + ".join(CONFIGURED), field=field)
    except InputError as error:
        # no exception is raised: Snakemake would show where in its own code it was, and not the message alone
        sys.exit(f"error: {error}")


def game_file(wildcards):
    """The file of a game that the user brings, and what it reads; none for a game that is generated."""
    game = described(wildcards)
    return [game["file"], *game.get("inputs", [])] if "file" in game else []


def made_game(wildcards):
    """The file of a game in the results: arrays, or the checked copy of the user's Python file."""
    return f"{RESULTS}/games/{wildcards.game}{'.py' if wildcards.game in FUNCTIONS else '.npz'}"


def game_arguments(wildcards):
    """The arguments that make a game: its family and parameters, or the user's file to check and copy."""
    game = described(wildcards)
    if "file" in game:
        return shlex.join([game["file"], *(["--inputs", *game["inputs"]] if game.get("inputs") else [])])
    return shlex.join([game["family"], *(f"{name}={value}" for name, value in sorted(game["parameters"].items()))])


def line_arguments(wildcards):
    """The arguments that make the games of a line: all parameters, the one that moves with all of its values."""
    line = config["scaling"]["lines"][wildcards.line]
    moving = {line["along"]: ",".join(map(str, line["values"]))}
    return shlex.join(f"{name}={value}" for name, value in sorted((line["parameters"] | moving).items()))


def networked_arguments(wildcards):
    """A game of the section `networked`, how it is learned, and the arms that learn it."""
    game = config["networked"]["tasks"][wildcards.game]
    made = [game["family"], *(f"{name}={value}" for name, value in sorted(game["parameters"].items()))]
    options = {
        "strength": game["strength"],
        "kind": game["kind"],
        "graph": game["graph"],
        "temperature": game["temperature"],
        "step-size": game["step_size"],
        "samples": game["n_samples"],
        "epochs": game["n_epochs"],
        "td-scale": game["td_scale"],
        "td-offset": game["td_offset"],
    }
    chosen = [part for name, value in options.items() for part in (f"--{name}", str(value))]
    return shlex.join([*made, *chosen, "--arms", *arms_of(config["networked"], wildcards.game)])


def own_methods(option=True):
    """The files of methods of the user's own, as options or as inputs of the jobs."""
    files = {name: grid["file"] for name, grid in config["one_trajectory"]["methods"].items() if "file" in grid}
    if not option:
        return list(files.values())
    return shlex.join(["--file", *(f"{name}={path}" for name, path in sorted(files.items()))]) if files else ""


def grid_arguments(wildcards):
    """The arguments that make a grid of games whose paths are followed: family, parameters, and the coupling."""
    grid = config["paths_generated"]["grids"][wildcards.grid]
    moving = {grid["along"]: ",".join(map(str, grid["values"]))}
    settings = sorted((grid["parameters"] | moving).items())
    return shlex.join([grid["family"], *(f"{name}={value}" for name, value in settings)])


def independent_settings(wildcards):
    """The options of one sweep of independent learning: what the sweep varies, and the rest as configured."""
    section = config["independent"]
    settings = {
        "agents": [section["n_agents"]],
        "epochs": [section["n_epochs"]],
        "updates": [section["n_updates"]],
        "waiting": [section["n_waiting"]],
        "step-size": [section["step_size"]],
        "replicates": [section["n_replicates"]],
    }
    settings |= {
        "populations": {"agents": section["populations"], "replicates": section["population_replicates"]},
        "step_sizes": {"step-size": section["step_sizes"], "epochs": [section["step_epochs"]]},
    }[wildcards.sweep]
    return " ".join(f"--{name} {' '.join(map(str, values))}" for name, values in settings.items())
