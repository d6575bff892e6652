"""Experiment: one trajectory against methods with a generative model."""
