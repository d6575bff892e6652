"""Experiment: games with several equilibria."""
