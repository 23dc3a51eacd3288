"""References that a methods paragraph can cite; a report lists only those it uses."""

from __future__ import annotations

from collections.abc import Iterable

REFERENCES: dict[str, str] = {
    "abril-pla2023": "Abril-Pla, O., Andreani, V., Carroll, C., et al. (2023). PyMC: a modern, and comprehensive probabilistic "
    "programming framework in "
    "Python. PeerJ Computer Science 9, e1516.",
    "borusyak2024": "Borusyak, K., Jaravel, X., and Spiess, J. (2024). Revisiting event-study designs: robust and efficient "
    "estimation. Review of "
    "Economic Studies 91(6), 3253–3285.",
    "bradbury2018": "Bradbury, J., Frostig, R., Hawkins, P., et al. (2018). JAX: composable transformations of Python+NumPy "
    "programs. Software.",
    "cabezas2024": "Cabezas, A., Corenflos, A., Lao, J., and Louf, R. (2024). BlackJAX: composable Bayesian inference in JAX. "
    "arXiv:2402.10797.",
    "callaway2021": "Callaway, B., and Sant'Anna, P. H. C. (2021). Difference-in-differences with multiple time periods. Journal of "
    "Econometrics "
    "225(2), 200–230.",
    "gardner2022": "Gardner, J. (2022). Two-stage differences in differences. arXiv:2207.05943.",
    "goodman-bacon2021": "Goodman-Bacon, A. (2021). Difference-in-differences with variation in treatment timing. Journal of "
    "Econometrics 225(2), 254–277.",
    "hoffman2014": "Hoffman, M. D., and Gelman, A. (2014). The No-U-Turn sampler: adaptively setting path lengths in Hamiltonian "
    "Monte Carlo. Journal "
    "of Machine Learning Research 15, 1593–1623.",
    "kumar2019": "Kumar, R., Carroll, C., Hartikainen, A., and Martin, O. (2019). ArviZ, a unified library for exploratory analysis "
    "of Bayesian models "
    "in Python. Journal of Open Source Software 4(33), 1143.",
    "muller2013": "Müller, U. K. (2013). Risk of Bayesian inference in misspecified models, and the sandwich covariance matrix. "
    "Econometrica 81(5), "
    "1805–1849.",
    "phan2019": "Phan, D., Pradhan, N., and Jankowiak, M. (2019). Composable effects for flexible and accelerated probabilistic "
    "programming in NumPyro. "
    "arXiv:1912.11554.",
    "sailynoja2022": "Säilynoja, T., Bürkner, P.-C., and Vehtari, A. (2022). Graphical test for discrete uniformity and its "
    "applications in goodness-of-fit "
    "evaluation and multiple sample comparison. Statistics and Computing 32, 32.",
    "seyboldt": "Seyboldt, A., and PyMC developers. nutpie: a sampler for Bayesian posteriors. Software.",
    "sun2021": "Sun, L., and Abraham, S. (2021). Estimating dynamic treatment effects in event studies with heterogeneous treatment "
    "effects. Journal of "
    "Econometrics 225(2), 175–199.",
    "vehtari2017": "Vehtari, A., Gelman, A., and Gabry, J. (2017). Practical Bayesian model evaluation using leave-one-out "
    "cross-validation and WAIC. "
    "Statistics and Computing 27, 1413–1432.",
    "vehtari2021": "Vehtari, A., Gelman, A., Simpson, D., Carpenter, B., and Bürkner, P.-C. (2021). Rank-normalization, folding, and "
    "localization: an "
    "improved R-hat for assessing convergence of MCMC. Bayesian Analysis 16(2), 667–718.",
    "wooldridge2021": "Wooldridge, J. M. (2021). Two-way fixed effects, the two-way Mundlak regression, and "
    "difference-in-differences estimators. "
    "SSRN 3906345; 2025, Empirical Economics 69(5), 2545–2587.",
    "aigner1977": "Aigner, D., Lovell, C. A. K., and Schmidt, P. (1977). Formulation and estimation of stochastic frontier production "
    "function models. Journal of Econometrics 6(1), 21–37.",
    "battese1988": "Battese, G. E., and Coelli, T. J. (1988). Prediction of firm-level technical efficiencies with a generalized frontier "
    "production function and panel data. Journal of Econometrics 38(3), 387–399.",
    "battese1992": "Battese, G. E., and Coelli, T. J. (1992). Frontier production functions, technical efficiency and panel data: with "
    "application to paddy farmers in India. Journal of Productivity Analysis 3, 153–169.",
    "battese1995": "Battese, G. E., and Coelli, T. J. (1995). A model for technical inefficiency effects in a stochastic frontier "
    "production function for panel data. Empirical Economics 20, 325–332.",
    "broeck1994": "van den Broeck, J., Koop, G., Osiewalski, J., and Steel, M. F. J. (1994). Stochastic frontier models: a Bayesian "
    "perspective. Journal of Econometrics 61(2), 273–303.",
    "coelli1995": "Coelli, T. (1995). Estimators and hypothesis tests for a stochastic frontier function: a Monte Carlo analysis. Journal "
    "of Productivity Analysis 6(3), 247–268.",
    "gelman1996": "Gelman, A., Meng, X.-L., and Stern, H. (1996). Posterior predictive assessment of model fitness via realized "
    "discrepancies. Statistica Sinica 6(4), 733–760.",
    "greene2005": "Greene, W. (2005). Reconsidering heterogeneity in panel data estimators of the stochastic frontier model. Journal of "
    "Econometrics 126(2), 269–303.",
    "jondrow1982": "Jondrow, J., Lovell, C. A. K., Materov, I. S., and Schmidt, P. (1982). On the estimation of technical inefficiency in "
    "the stochastic frontier production function model. Journal of Econometrics 19(2–3), 233–238.",
    "kumbhakar1990": "Kumbhakar, S. C. (1990). Production frontiers, panel data, and time-varying technical inefficiency. Journal of "
    "Econometrics 46(1–2), 201–211.",
    "kumbhakar2014": "Kumbhakar, S. C., Lien, G., and Hardaker, J. B. (2014). Technical efficiency in competing panel data models: a "
    "study of Norwegian grain farming. Journal of Productivity Analysis 41(2), 321–337.",
    "odonnell2008": "O'Donnell, C. J., Rao, D. S. P., and Battese, G. E. (2008). Metafrontier frameworks for the study of firm-level "
    "efficiencies and technology ratios. Empirical Economics 34(2), 231–255.",
    "orea2002": "Orea, L. (2002). Parametric decomposition of a generalized Malmquist productivity index. Journal of Productivity "
    "Analysis 18(1), 5–22.",
    "waldman1982": "Waldman, D. M. (1982). A stationary point for the stochastic frontier likelihood. Journal of Econometrics 18(2), "
    "275–279.",
}

_SOURCES = {
    "callaway": "callaway2021",
    "sun–abraham": "sun2021",
    "imputation": "borusyak2024",
    "borusyak": "borusyak2024",
    "gardner": "gardner2022",
    "etwfe": "wooldridge2021",
    "wooldridge": "wooldridge2021",
    "bacon": "goodman-bacon2021",
    "müller": "muller2013",
    "maximum likelihood": "waldman1982",
    "battese–coelli": "battese1988",
    "jlms": "jondrow1982",
}

_SAMPLERS = {"nutpie": "seyboldt", "numpyro": "phan2019", "blackjax": "cabezas2024"}


def keys_of_sources(sources: Iterable[str]) -> list[str]:
    """References of the estimators named in the sources of a comparison."""
    text = " ".join(sources).lower()
    return list(dict.fromkeys(key for word, key in _SOURCES.items() if word in text))


def keys_of_sampler(sampler: str, versions: Iterable[str]) -> list[str]:
    """References of the software that a fit used."""
    used = {name.lower() for name in versions}
    keys = ["hoffman2014", "vehtari2021", *([_SAMPLERS[sampler.lower()]] if sampler.lower() in _SAMPLERS else [])]
    keys += [key for name, key in (("pymc", "abril-pla2023"), ("arviz", "kumar2019"), ("jax", "bradbury2018")) if name in used]
    return keys


def listed(keys: Iterable[str]) -> tuple[str, ...]:
    """The full references in alphabetical order, each once. Raises KeyError on a key that does not exist."""
    return tuple(REFERENCES[key] for key in sorted(set(keys)))
