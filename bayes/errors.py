"""Named errors and warnings. Every message says what is wrong, where (column, unit, period) and the remedy."""

from __future__ import annotations

import warnings
from pathlib import Path

_PACKAGE = str(Path(__file__).resolve().parent)


class BayesError(Exception):
    """Root of every error that this package raises on purpose."""


class DataError(BayesError, ValueError):
    """The data cannot be used as they are."""


class EmptyPanelError(DataError):
    """The table has no rows, or none is left."""


class MissingColumnError(DataError):
    """A named column does not exist."""


class NotNumericError(DataError):
    """Text, dates or objects stand where numbers are expected."""


class MissingValueError(DataError):
    """NaN or infinity stands where a finite value is needed."""


class TooLargeError(DataError):
    """Numbers so large that their squares are no numbers any more."""


class LabelError(DataError):
    """A unit or region is labelled by something that is no single value."""


class NotPositiveError(DataError):
    """Zero or a negative number stands under a logarithm or as a weight."""


class NoVariationError(DataError):
    """Nothing is left of the outcome once the model's means are taken out."""


class DuplicateRowError(DataError):
    """A unit is observed twice in the same period."""


class SinglePeriodError(DataError):
    """A panel needs at least two periods."""


class NonAbsorbingTreatmentError(DataError):
    """A treatment is switched off again."""


class TreatmentTimingError(DataError):
    """The first treated period is not one number per unit."""


class RegionNotNestedError(DataError):
    """A unit belongs to more than one region."""


class ProvinceError(DataError):
    """An entry is no provincial unit of China, or may be one of two."""


class NoComparisonError(DataError):
    """No never- or not-yet-treated observation is left to compare with."""


class DoseError(DataError):
    """A dose of the treatment is negative, missing where a unit is treated, or zero throughout."""


class SpecificationError(BayesError, ValueError):
    """A model, option or estimand that does not exist or does not fit the data."""


class CollinearColumnsError(SpecificationError):
    """A covariate is an exact linear combination of effects or other covariates."""


class UnsupportedModelError(SpecificationError):
    """A pair of panel form, inefficiency and determinants that does not exist."""


class DatasetError(BayesError, LookupError):
    """A data set or a published study that is not shipped."""


class RowsOnDiskError(SpecificationError):
    """What was asked for needs rows in memory, and the panel's rows stay on disk."""


class SamplingError(BayesError, RuntimeError):
    """The sampler could not start or did not return."""


class FitFileError(BayesError, OSError):
    """A saved fit cannot be read or written."""


class OutputFileError(BayesError, OSError):
    """A report, a table, a figure or a record of replicates cannot be written or read."""


class ExecutorError(BayesError, RuntimeError):
    """Work that was handed to an executor failed there again and again, or the executor is gone."""


class MissingExtraError(BayesError, ImportError):
    """An optional package is needed; the message gives the command that installs it."""


class BayesWarning(UserWarning):
    """Root of every warning that this package gives on purpose."""


class SetAsideWarning(BayesWarning):
    """Rows or units were set aside; they stay listed in the panel."""


class ConvergenceWarning(BayesWarning):
    """A fit does not pass the diagnostics gate."""


class SurrogateWarning(BayesWarning):
    """A surrogate of the likelihood was refused, and the posterior was sampled without it."""


class CacheWarning(BayesWarning):
    """A result could not be stored for the next run; it is returned all the same."""


class FontWarning(BayesWarning):
    """A figure shows boxes for characters that no installed font has."""


class PriorDrivenWarning(BayesWarning):
    """An estimate rests on the prior more than on the data."""


class BaselineWarning(BayesWarning):
    """A baseline could not be computed, or left some rows out."""


class WrongSkewnessWarning(BayesWarning):
    """Residuals are skewed against what inefficiency implies."""


class WeakRegionWarning(BayesWarning):
    """A region has too few units or rows to stand on its own; its estimates lean on the others."""


class TimingWarning(BayesWarning):
    """Gaps or late ends of units shape the path of inefficiency over time."""


class ProductivityWarning(BayesWarning):
    """A component of productivity change is shaped by the panel form or lies outside its meaning."""


class SlackWarning(BayesWarning):
    """So many slacks are zero that their frontier describes the zeros."""


class MechanismWarning(BayesWarning):
    """Direct and indirect effects rest on sequential ignorability, which data cannot show."""


class AffectedCovariateWarning(BayesWarning):
    """A covariate moves with the treatment: holding it fixed takes part of the effect away."""


class DoseWarning(BayesWarning):
    """A dose is the same in every treated row: it only rescales the treatment."""


class SpatialWarning(BayesWarning):
    """Units without neighbours, or neighbours that are not in the panel."""


class InfluentialUnitsWarning(BayesWarning):
    """Single units move the posterior so much that importance sampling without them is unreliable."""


def warn_user(message: str, category: type[BayesWarning]) -> None:
    """Warn at the first line outside this package: the call of whoever uses it, however many of our functions stand between."""
    warnings.warn(message, category, skip_file_prefixes=(_PACKAGE,))
