"""Plots and tables of MPTCP connections: from a `Trace` to PNG, SVG, xplot.org's files, CSV, and a report as HTML."""
