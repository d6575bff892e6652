"""Experiment: how fast exact policy mirror ascent converges."""
