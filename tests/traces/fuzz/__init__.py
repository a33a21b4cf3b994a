"""Fuzzing of the reader and the analysis of captures: `target` says what must hold of any file, `seeds` begin it."""
