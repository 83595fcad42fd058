"""One machine's stack: the emulator, the broker and the workers, as supervised child processes.

`layout` says where things are, `environment` what a child sees, `processes` how it lives and dies,
`broker` is Kafka. `movierec.cli` puts them together.
"""
