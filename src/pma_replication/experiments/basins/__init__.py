"""Experiment: games with several equilibria."""

from __future__ import annotations

from pma_replication.experiment import Experiment

EXPERIMENT = Experiment(title="games with several equilibria", place=6)
