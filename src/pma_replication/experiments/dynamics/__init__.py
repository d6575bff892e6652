"""Experiment: exact methods side by side."""
