"""Process plumbing: entry points, JSON logs, the clock, atomic files."""
