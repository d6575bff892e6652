"""`pma-replicate warm-up`: compile the kernels."""

from __future__ import annotations

import argparse

from pma_mfg.commands import arguments


def add(commands: arguments.Commands) -> None:
    """Add the command."""
    warm_up = commands.add(
        "warm-up",
        _warm_up,
        "compile the kernels once, before jobs run in parallel",
        group="before the experiments",
        examples=("",),
    )
    warm_up.add_argument("--out", help="file to write when done")


def _warm_up(options: argparse.Namespace) -> None:
    from pma_mfg import storage
    from pma_mfg.learning import generative_kernels as baseline_kernels
    from pma_mfg.learning.trajectory import trajectory_kernels
    from pma_mfg.populations import lattice
    from pma_mfg.simulation import agent_kernels, lockstep_kernels, path_kernels
    from pma_mfg.simulation import exchangeable_kernels as kernels

    # `simulation.environment_kernels` serve learners of a user's own: no job loads them
    if options.out:
        learners = (baseline_kernels, lockstep_kernels, trajectory_kernels)
        modules = (kernels, lattice, agent_kernels, path_kernels, *learners)
        storage.write_text(options.out, "".join(f"{module.__name__} compiled\n" for module in modules))
