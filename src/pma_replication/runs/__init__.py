"""What keeps a run safe: locks, recovery, checkpoints, and tables that know when they were damaged."""
