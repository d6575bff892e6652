"""Experiment: best response and mirror ascent while the regularizer weakens."""
