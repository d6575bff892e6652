"""Experiment: what a finite number of agents does to what is learned."""
