"""One folder per folder of the project. A package, so that `tests.codec` is never taken for `codec`."""
