"""The commands of `pma-mfg`, and what those of `pma-replicate` share with them."""
