"""The replication.

Everything with a table, a verdict or a figure. It imports the library `pma_mfg`, never the reverse.
"""
