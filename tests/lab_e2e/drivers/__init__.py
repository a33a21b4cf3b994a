"""Programs that the tests run on the emulated lab host, where they cannot be themselves."""
