"""Experiment: the error of temporal-difference learning."""
