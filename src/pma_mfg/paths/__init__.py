"""The path of equilibria from a strong regularizer to none (docs/theory, section 19)."""
