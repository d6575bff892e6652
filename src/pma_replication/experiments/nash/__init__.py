"""Experiment: what one agent among N gains by deviating."""

from __future__ import annotations

from pma_replication.experiment import Experiment

EXPERIMENT = Experiment(title="what one agent among N gains by deviating", place=11)
