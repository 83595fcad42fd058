"""Releases of the API: traffic split, state machine, policy, tests of the canary, without I/O."""
