"""Experiment: games from the literature."""

from __future__ import annotations

from pma_replication.experiment import Experiment

EXPERIMENT = Experiment(title="games from the literature", place=13)
