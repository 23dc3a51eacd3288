"""``make peers``: other programs on the same data in the same run, each in a process and an environment of its own."""
