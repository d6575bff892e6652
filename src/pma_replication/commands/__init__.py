"""What all experiments share on the command line: games, kernels, tables, verdicts, figures, the report."""
