"""Pictures of games, equilibria and audits."""
