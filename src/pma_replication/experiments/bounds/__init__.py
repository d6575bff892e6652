"""Experiment: how loose the Lipschitz bounds are."""

from __future__ import annotations

from pma_replication.experiment import Experiment

EXPERIMENT = Experiment(title="how loose the Lipschitz bounds are", place=1)
