"""Experiment: how many samples an accuracy costs."""
