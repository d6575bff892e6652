"""Experiment: learners that share nothing."""

from __future__ import annotations

from pma_replication.experiment import Experiment

EXPERIMENT = Experiment(title="learners that share nothing", place=9)
