"""Experiment: best response and mirror ascent while the regularizer weakens."""

from __future__ import annotations

from pma_replication.experiment import Experiment

EXPERIMENT = Experiment(title="best response and mirror ascent while the regularizer weakens", place=5)
