"""Experiment: the error of temporal-difference learning."""

from __future__ import annotations

from pma_replication.experiment import Experiment

EXPERIMENT = Experiment(title="the error of temporal-difference learning", place=7)
