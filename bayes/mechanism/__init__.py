"""Mechanism of a treatment: joint mediator and outcome equations with correlated region effects; behind :class:`bayes.Mediation`."""
