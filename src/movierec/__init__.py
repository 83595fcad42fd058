"""movierec: movie recommendations, from a site's log lines to a list whose lineage is known.

Up to `releases` and `reports` the packages do no I/O and need numpy alone. `movierec.aws`
implements their ports on boto3 and Delta Lake, `movierec.stack` runs the parts on one machine,
`movierec.cli` is the command.
"""
