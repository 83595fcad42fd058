"""movierec: movie recommendations, from a site's log lines to an answer that can be traced.

The modules directly inside are pure: values in, values out, standard library and numpy only.
`movierec.aws` puts the ports on boto3 and Delta Lake, `movierec.stack` runs the parts on one
machine, `movierec.cli` is the command.
"""
