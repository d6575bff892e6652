"""Experiment: games from the literature."""
