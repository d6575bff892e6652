"""Experiment: one trajectory against methods with a generative model."""

from __future__ import annotations

from pma_replication.experiment import Experiment

EXPERIMENT = Experiment(title="one trajectory against methods with a generative model", place=12)
