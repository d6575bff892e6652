"""Experiment: exact methods side by side."""

from __future__ import annotations

from pma_replication.experiment import Experiment

EXPERIMENT = Experiment(title="exact methods side by side", place=4)
