"""Experiment: which strengths and step sizes contract."""

from __future__ import annotations

from pma_replication.experiment import Experiment

EXPERIMENT = Experiment(title="which strengths and step sizes contract", place=3)
