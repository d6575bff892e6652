"""The N-agent game, simulated in compiled code.

Agents that share a policy, and agents with one each (docs/theory, section 9).
"""
