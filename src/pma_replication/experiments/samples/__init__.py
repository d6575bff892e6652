"""Experiment: how many samples an accuracy costs."""

from __future__ import annotations

from pma_replication.experiment import Experiment

EXPERIMENT = Experiment(title="how many samples an accuracy costs", place=8)
