"""Stochastic frontiers: densities, technology, hierarchical model, efficiency and productivity."""
