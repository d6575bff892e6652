"""Experiment: how loose the Lipschitz bounds are."""
