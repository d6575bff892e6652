"""Experiment: how fast exact policy mirror ascent converges."""

from __future__ import annotations

from pma_replication.experiment import Experiment

EXPERIMENT = Experiment(title="how fast exact policy mirror ascent converges", place=2)
