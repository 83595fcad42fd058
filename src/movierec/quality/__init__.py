"""Quality of data: declared schemas, profiles of data sets, drift between two, and hard rules."""
