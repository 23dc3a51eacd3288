"""Two series that move each other with a lag: kernels, model and tables behind :class:`bayes.CrossLagged`."""
