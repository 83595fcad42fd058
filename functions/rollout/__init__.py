"""The steps of a release, as its state machine asks for them."""
