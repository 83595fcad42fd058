"""One machine's stack: the emulator, the broker and the workers, as supervised child processes."""
