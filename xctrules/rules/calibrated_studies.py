"""Repeat scans of a calibrated part (ISO 15530-3, VDI/VDE 2630-2.1): how far results lie from the truth."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from xctrules.core.measurement import coverage_factor_95
from xctrules.core.wording import counted
from xctrules.rules.gauge_studies import SAME_VALUES, Judgement

LEAST_CALIBRATED_SCANS = 20
"""Repeat measurements that ISO 15530-3 asks for."""

SUITABLE_SHARE = 0.3
"""Largest 2 U over tolerance of a capable measuring process (VDA 5)."""


@dataclass(frozen=True)
class CalibratedStudy:
    """Result of repeat scans of a calibrated part; all in the unit of the values.

    Attributes
    ----------
    bias
        Mean of the scans minus the calibrated value.
    u_cal, u_p, u_w, u_b
        Standard uncertainties: of the calibration; of the procedure (standard deviation of a single scan);
        from the workpieces' material and temperature, as stated; of the bias as found from so many scans.
    standard_uncertainty, degrees_of_freedom, coverage_factor
        Of one scan's value whose bias is corrected; ``k`` at 95 % from the effective degrees of freedom.
    expanded_corrected
        U = k u, for values from which the bias is subtracted.
    expanded_uncorrected
        U = k u + abs(bias), for values as they are measured.
    """

    scans: int
    mean: float
    calibrated_value: float
    bias: float
    u_cal: float
    u_p: float
    u_w: float
    u_b: float
    standard_uncertainty: float
    degrees_of_freedom: float
    coverage_factor: float
    expanded_corrected: float
    expanded_uncorrected: float
    tolerance: float | None
    percent_of_tolerance: float | None
    judgement: Judgement
    warnings: tuple[str, ...]


def calibrated_study(
    values: ArrayLike,
    *,
    calibrated_value: float,
    calibration_expanded_uncertainty: float,
    calibration_coverage_factor: float = 2.0,
    u_workpiece: float | None = None,
    tolerance: float | None = None,
) -> CalibratedStudy:
    """Task-specific uncertainty by the experimental method (ISO 15530-3, VDI/VDE 2630-2.1).

    u = sqrt(u_cal^2 + u_p^2 + u_w^2 + u_b^2), with u_cal = U_cal / k_cal, u_p = s of the single scans and
    u_b = s / sqrt(n), the uncertainty of the bias as their mean shows it. The coverage factor is Student's t
    at the effective degrees of freedom, where the two standards put k = 2; with 20 scans it is at most 2.1.

    Parameters
    ----------
    values : (n,)
        One for each repeat scan, the part taken off and set up anew each time.
    u_workpiece
        Standard uncertainty from what differs between the calibrated part and later ones: expansion,
        material, surface. ``None`` counts as zero, with a warning.
    tolerance
        Upper minus lower limit. With it the process is judged by 2 U / tolerance, U with the bias left in.

    Raises
    ------
    ValueError
        For fewer than two scans, or a number that makes no sense.
    """
    scans = np.asarray(values, dtype=float).ravel()
    _refuse_nonsense(
        scans, calibrated_value, calibration_expanded_uncertainty, calibration_coverage_factor,
        u_workpiece, tolerance,
    )  # fmt: skip
    count = int(scans.size)
    u_cal = calibration_expanded_uncertainty / calibration_coverage_factor
    u_p = float(scans.std(ddof=1))
    u_w = u_workpiece or 0.0
    u_b = u_p / math.sqrt(count)
    bias = float(scans.mean()) - calibrated_value
    u = math.sqrt(u_cal**2 + u_p**2 + u_w**2 + u_b**2)
    # u_p and u_b come from the same standard deviation, and so have n - 1 degrees of freedom together.
    freedom = (count - 1) * u**4 / (u_p**2 + u_b**2) ** 2 if u_p > 0 else math.inf
    k = coverage_factor_95(freedom)
    uncorrected = k * u + abs(bias)
    share = None if tolerance is None else 2 * uncorrected / tolerance
    warnings = _warnings(count, u_workpiece is not None, u_p, biased=abs(bias) > k * u)
    return CalibratedStudy(
        count, float(scans.mean()), calibrated_value, bias, u_cal, u_p, u_w, u_b, u, freedom, k, k * u,
        uncorrected, tolerance, None if share is None else 100 * share, _judged(share), tuple(warnings),
    )  # fmt: skip


def _refuse_nonsense(
    scans: NDArray[np.float64],
    calibrated_value: float,
    expanded_uncertainty: float,
    coverage_factor: float,
    u_workpiece: float | None,
    tolerance: float | None,
) -> None:
    if scans.size < 2 or not np.isfinite(scans).all():
        raise ValueError("at least two repeat scans with finite values are needed")
    for what, number in (
        ("expanded uncertainty of the calibration", expanded_uncertainty),
        ("coverage factor of the calibration", coverage_factor),
    ):
        if not (math.isfinite(number) and number > 0):
            raise ValueError(f"the {what} ({number:g}) must be above zero")
    if not math.isfinite(calibrated_value):
        raise ValueError("the calibrated value is not a finite number")
    if u_workpiece is not None and not (math.isfinite(u_workpiece) and u_workpiece >= 0):
        raise ValueError(f"the standard uncertainty of the workpiece ({u_workpiece:g}) is below zero")
    if tolerance is not None and not (math.isfinite(tolerance) and tolerance > 0):
        raise ValueError(f"the tolerance {tolerance:g} is not above zero")


def _judged(share: float | None) -> Judgement:
    if share is None:
        return "not judged"
    return "acceptable" if share <= SUITABLE_SHARE else "not acceptable"


def _warnings(count: int, workpiece_stated: bool, u_p: float, *, biased: bool) -> Iterator[str]:
    if count < LEAST_CALIBRATED_SCANS:
        yield f"{counted(count, 'repeat scan')}: ISO 15530-3 wants at least {LEAST_CALIBRATED_SCANS}"
    if not workpiece_stated:
        yield "no uncertainty from the workpiece is stated (u_w): it is taken to be zero"
    if u_p == 0:
        yield f"all scans gave the same value to the last digit: {SAME_VALUES}"
    if biased:
        yield (
            "the bias is larger than its own uncertainty explains: look for its cause (voxel size, threshold)"
        )


def bias_as_contribution(u: float, freedom: float, bias: float) -> tuple[float, float]:
    """A budget line that makes U = k u + abs(bias) out of U = k u.

    Returns
    -------
    contribution, degrees_of_freedom
        Such that root sum of squares and Welch-Satterthwaite, with the other lines (``u``, ``freedom``), give
        that U at an unchanged coverage factor. A record holds budgets only, and this keeps them true to the
        formula of VDI/VDE 2630-2.1 for a bias that is not corrected.
    """
    if bias == 0:
        return 0.0, math.inf
    together = u + abs(bias) / coverage_factor_95(freedom)
    line = math.sqrt(together**2 - u**2)
    own = math.inf if math.isinf(freedom) else freedom * line**4 / (together**4 - u**4)
    return line, own
