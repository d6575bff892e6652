"""Experiment: learners that share nothing."""
