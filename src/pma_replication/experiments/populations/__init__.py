"""Experiment: what a finite number of agents does to what is learned."""

from __future__ import annotations

from pma_replication.experiment import Experiment

EXPERIMENT = Experiment(title="what a finite number of agents does to what is learned", place=10)
