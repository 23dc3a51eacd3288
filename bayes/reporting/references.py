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
    "andersen1993": "Andersen, P., and Petersen, N. C. (1993). A procedure for ranking efficient units in data envelopment "
    "analysis. Management Science 39(10), 1261–1264.",
    "banker1984": "Banker, R. D., Charnes, A., and Cooper, W. W. (1984). Some models for estimating technical and scale "
    "inefficiencies in data envelopment analysis. Management Science 30(9), 1078–1092.",
    "barro1992": "Barro, R. J., and Sala-i-Martin, X. (1992). Convergence. Journal of Political Economy 100(2), 223–251.",
    "chambers1998": "Chambers, R. G., Chung, Y., and Färe, R. (1998). Profit, directional distance functions, and Nerlovian "
    "efficiency. Journal of Optimization Theory and Applications 98(2), 351–364.",
    "charnes1978": "Charnes, A., Cooper, W. W., and Rhodes, E. (1978). Measuring the efficiency of decision making units. European "
    "Journal of Operational Research 2(6), 429–444.",
    "chung1997": "Chung, Y. H., Färe, R., and Grosskopf, S. (1997). Productivity and undesirable outputs: a directional distance "
    "function approach. Journal of Environmental Management 51(3), 229–240.",
    "dagum1997": "Dagum, C. (1997). A new approach to the decomposition of the Gini income inequality ratio. Empirical Economics "
    "22(4), 515–531.",
    "fare1994": "Färe, R., Grosskopf, S., Norris, M., and Zhang, Z. (1994). Productivity growth, technical progress, and "
    "efficiency change in industrialized countries. American Economic Review 84(1), 66–83.",
    "fried2002": "Fried, H. O., Lovell, C. A. K., Schmidt, S. S., and Yaisawarng, S. (2002). Accounting for environmental "
    "effects and statistical noise in data envelopment analysis. Journal of Productivity Analysis 17, 157–174.",
    "huangfu2018": "Huangfu, Q., and Hall, J. A. J. (2018). Parallelizing the dual revised simplex method. Mathematical "
    "Programming Computation 10(1), 119–142.",
    "hwang1981": "Hwang, C.-L., and Yoon, K. (1981). Multiple attribute decision making: methods and applications. Springer.",
    "kuosmanen2005": "Kuosmanen, T. (2005). Weak disposability in nonparametric production analysis with undesirable outputs. "
    "American Journal of Agricultural Economics 87(4), 1077–1082.",
    "oh2010": "Oh, D. (2010). A global Malmquist–Luenberger productivity index. Journal of Productivity Analysis 34(3), 183–197.",
    "pastor2005": "Pastor, J. T., and Lovell, C. A. K. (2005). A global Malmquist productivity index. Economics Letters 88(2), 266–271.",
    "phillips2007": "Phillips, P. C. B., and Sul, D. (2007). Transition modeling and econometric convergence tests. Econometrica "
    "75(6), 1771–1855.",
    "phillips2009": "Phillips, P. C. B., and Sul, D. (2009). Economic transition and growth. Journal of Applied Econometrics 24(7), "
    "1153–1185.",
    "quah1993": "Quah, D. (1993). Empirical cross-section dynamics in economic growth. European Economic Review 37(2–3), 426–434.",
    "ray1997": "Ray, S. C., and Desli, E. (1997). Productivity growth, technical progress, and efficiency change in "
    "industrialized countries: comment. American Economic Review 87(5), 1033–1039.",
    "rubin1981": "Rubin, D. B. (1981). The Bayesian bootstrap. Annals of Statistics 9(1), 130–134.",
    "shannon1948": "Shannon, C. E. (1948). A mathematical theory of communication. Bell System Technical Journal 27(3), 379–423.",
    "simar1998": "Simar, L., and Wilson, P. W. (1998). Sensitivity analysis of efficiency scores: how to bootstrap in "
    "nonparametric frontier models. Management Science 44(1), 49–61.",
    "simar1999": "Simar, L., and Wilson, P. W. (1999). Estimating and bootstrapping Malmquist indices. European Journal of "
    "Operational Research 115(3), 459–471.",
    "theil1967": "Theil, H. (1967). Economics and information theory. North-Holland.",
    "tone2001": "Tone, K. (2001). A slacks-based measure of efficiency in data envelopment analysis. European Journal of "
    "Operational Research 130(3), 498–509.",
    "tone2002": "Tone, K. (2002). A slacks-based measure of super-efficiency in data envelopment analysis. European Journal of "
    "Operational Research 143(1), 32–41.",
    "baron1986": "Baron, R. M., and Kenny, D. A. (1986). The moderator–mediator variable distinction in social psychological research: "
    "conceptual, strategic, and statistical considerations. Journal of Personality and Social Psychology 51(6), 1173–1182.",
    "allison2017": "Allison, P. D., Williams, R., and Moral-Benito, E. (2017). Maximum likelihood for cross-lagged panel models with fixed "
    "effects. Socius 3.",
    "hsiao2002": "Hsiao, C., Pesaran, M. H., and Tahmiscioglu, A. K. (2002). Maximum likelihood estimation of fixed effects dynamic panel "
    "data models covering short time periods. Journal of Econometrics 109(1), 107–150.",
    "lancaster2002": "Lancaster, T. (2002). Orthogonal parameters and panel data. Review of Economic Studies 69(3), 647–666.",
    "nickell1981": "Nickell, S. (1981). Biases in dynamic models with fixed effects. Econometrica 49(6), 1417–1426.",
    "wooldridge2005": "Wooldridge, J. M. (2005). Simple solutions to the initial conditions problem in dynamic, nonlinear panel data "
    "models with unobserved heterogeneity. Journal of Applied Econometrics 20(1), 39–54.",
    "imai2010": "Imai, K., Keele, L., and Tingley, D. (2010). A general approach to causal mediation analysis. Psychological Methods "
    "15(4), 309–334.",
    "kenny2003": "Kenny, D. A., Korchmaros, J. D., and Bolger, N. (2003). Lower level mediation in multilevel models. Psychological "
    "Methods 8(2), 115–128.",
    "lewandowski2009": "Lewandowski, D., Kurowicka, D., and Joe, H. (2009). Generating random correlation matrices based on vines and "
    "extended onion method. Journal of Multivariate Analysis 100(9), 1989–2001.",
    "sobel1982": "Sobel, M. E. (1982). Asymptotic confidence intervals for indirect effects in structural equation models. Sociological "
    "Methodology 13, 290–312.",
    "fisher1935": "Fisher, R. A. (1935). The design of experiments. Oliver and Boyd.",
    "kallioinen2024": "Kallioinen, N., Paananen, T., Bürkner, P.-C., and Vehtari, A. (2024). Detecting and diagnosing prior and "
    "likelihood sensitivity with power-scaling. Statistics and Computing 34, 57.",
    "kwon2024": "Kwon, S., and Roth, J. (2024). (Empirical) Bayes approaches to parallel trends. AEA Papers and Proceedings 114, 606–609.",
    "moran1950": "Moran, P. A. P. (1950). Notes on continuous stochastic phenomena. Biometrika 37(1–2), 17–23.",
    "phipson2010": "Phipson, B., and Smyth, G. K. (2010). Permutation p-values should never be zero: calculating exact p-values when "
    "permutations are randomly drawn. Statistical Applications in Genetics and Molecular Biology 9(1), 39.",
    "rambachan2023": "Rambachan, A., and Roth, J. (2023). A more credible approach to parallel trends. Review of Economic Studies 90(5), "
    "2555–2591.",
    "roth2022": "Roth, J. (2022). Pretest with caution: event-study estimates after testing for parallel trends. American Economic "
    "Review: Insights 4(3), 305–322.",
    "simonsohn2020": "Simonsohn, U., Simmons, J. P., and Nelson, L. D. (2020). Specification curve analysis. Nature Human Behaviour 4, "
    "1208–1214.",
    "yao2018": "Yao, Y., Vehtari, A., Simpson, D., and Gelman, A. (2018). Using stacking to average Bayesian predictive distributions. "
    "Bayesian Analysis 13(3), 917–1007.",
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
    "dea": "charnes1978",
    "sbm": "tone2001",
    "directional distance": "chambers1998",
    "malmquist–luenberger": "chung1997",
    "malmquist": "fare1994",
    "highs": "huangfu2018",
    "products of twfe": "sobel1982",
    "within ols": "nickell1981",
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
