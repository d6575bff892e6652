"""Experiment: what one agent among N gains by deviating."""
