"""Experiment: equilibria and assumptions."""

from __future__ import annotations

from pma_replication.experiment import Experiment

EXPERIMENT = Experiment(title="equilibria and assumptions", place=0)
