"""Experiment: equilibria and assumptions."""
