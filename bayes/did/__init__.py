"""Staggered difference-in-differences with partial pooling over regions, cohorts and event time."""
