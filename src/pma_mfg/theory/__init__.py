"""What is proved of a game.

Lipschitz constants, certificates, assumptions, and the theorem's schedule (docs/theory, sections 4, 5 and 10).
"""
