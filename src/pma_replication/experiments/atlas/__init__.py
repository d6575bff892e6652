"""Experiment: many generated games."""

from __future__ import annotations

from pma_replication.experiment import Experiment

EXPERIMENT = Experiment(title="many generated games", place=14)
