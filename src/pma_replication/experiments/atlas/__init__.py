"""Experiment: many generated games."""
