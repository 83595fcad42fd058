"""The lake's tables, the site's log lines, the catalog, and maintenance, without I/O."""
