"""Experiment: which strengths and step sizes contract."""
