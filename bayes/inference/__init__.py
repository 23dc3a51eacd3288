"""Sampling over JAX backends, the fit that every model returns, its diagnostics and its files."""
