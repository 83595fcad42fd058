"""Set-up tools: standard library only, on any Python from 3.8."""
