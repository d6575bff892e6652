"""Many and few agents, exactly.

Fluctuations, lattices, finite populations, moments of TD learning, spread (docs/theory, section 9).
"""
