"""The `movierec` command."""
