"""What `snakemake` finds here; the workflow is where Snakemake's catalog expects it."""


include: "workflow/Snakefile"


# the target of an included file is not that of the file that includes it
rule replication:
    default_target: True
    input:
        rules.all.input,
