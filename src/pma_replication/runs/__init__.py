"""What keeps a run safe: locks, recovery, checkpoints, and tables whose damage is noticed."""
