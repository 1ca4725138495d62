"""What a tube's X-rays meet in a cell: attenuation of its materials, and the spectrum that meets them.

Between 20 and 300 keV no element of a cell has an absorption edge, so tables of a few energies, with
a spline through the logarithms, are enough.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from xctrules.cylinder.phantom.spec import Tomography

Floats = NDArray[np.floating[Any]]

TABLE_KEV = (20.0, 30.0, 40.0, 50.0, 60.0, 80.0, 100.0, 150.0, 200.0, 300.0)

# Mass attenuation coefficients with coherent scattering, cm2/g, at TABLE_KEV; to three or four digits, after
# Hubbell and Seltzer, Tables of X-Ray Mass Attenuation Coefficients, NIST Standard Reference Database 126.
_MASS_ATTENUATION: Mapping[str, tuple[float, ...]] = {
    "H": (0.3695, 0.3570, 0.3458, 0.3355, 0.3260, 0.3091, 0.2944, 0.2651, 0.2429, 0.2112),
    "Li": (0.1856, 0.1644, 0.1551, 0.1488, 0.1438, 0.1356, 0.1289, 0.1158, 0.1060, 0.0921),
    "C": (0.4420, 0.2562, 0.2076, 0.1871, 0.1753, 0.1610, 0.1514, 0.1347, 0.1229, 0.1066),
    "O": (0.8651, 0.3779, 0.2585, 0.2132, 0.1907, 0.1678, 0.1551, 0.1361, 0.1237, 0.1070),
    "Al": (3.441, 1.128, 0.5685, 0.3681, 0.2778, 0.2018, 0.1704, 0.1378, 0.1223, 0.1042),
    "Mn": (22.53, 7.141, 3.169, 1.714, 1.060, 0.5306, 0.3367, 0.1838, 0.1391, 0.1062),
    "Fe": (25.68, 8.176, 3.629, 1.958, 1.205, 0.5952, 0.3717, 0.1964, 0.1460, 0.1099),
    "Co": (28.03, 8.962, 3.981, 2.144, 1.314, 0.6414, 0.3949, 0.2023, 0.1476, 0.1094),
    "Ni": (32.20, 10.34, 4.600, 2.474, 1.512, 0.7306, 0.4440, 0.2208, 0.1582, 0.1154),
    "Cu": (33.79, 10.92, 4.862, 2.613, 1.593, 0.7630, 0.4584, 0.2217, 0.1559, 0.1119),
}


def _mixed(*parts: tuple[float, Mapping[str, float]]) -> dict[str, float]:
    """Mass of each element in a volume, g/cm3, from (g/cm3, mass fractions) of what fills it."""
    total: dict[str, float] = {}
    for density, fractions in parts:
        for element, fraction in fractions.items():
            total[element] = total.get(element, 0.0) + density * fraction
    return total


_CARBON = {"C": 1.0}
_POLYOLEFIN = {"C": 0.856, "H": 0.144}
_CARBONATE = {"C": 0.409, "H": 0.046, "O": 0.545}  # ethylene carbonate, for the electrolyte; no salt
_NMC811 = {"Li": 0.071, "Ni": 0.483, "Mn": 0.056, "Co": 0.061, "O": 0.329}
_STEEL = {"Fe": 1.0}

_MATERIALS: Mapping[str, Mapping[str, float]] = {
    # The names are those of Greys. Densities are typical ones; coatings are porous and soaked.
    "outside": {},
    "void": {},
    "electrolyte": _mixed((1.3, _CARBONATE)),
    "separator": _mixed((0.55, _POLYOLEFIN), (0.5, _CARBONATE)),
    "anode_coating": _mixed((1.6, _CARBON), (0.35, _CARBONATE)),
    "copper": _mixed((8.96, {"Cu": 1.0})),
    "cathode_coating": _mixed((3.3, _NMC811), (0.1, _CARBON), (0.33, _CARBONATE)),
    "aluminium": _mixed((2.70, {"Al": 1.0})),
    "can": _mixed((7.86, _STEEL)),
    "cap": _mixed((0.5 * 7.86, _STEEL), (0.5 * 2.70, {"Al": 1.0})),  # a stack of both
    "gasket": _mixed((0.91, _POLYOLEFIN)),
    "tab": _mixed((2.70, {"Al": 1.0})),
    "nickel_tab": _mixed((8.90, {"Ni": 1.0})),
    "pin": _mixed((7.86, _STEEL)),
    "sleeve": _mixed((1.38, {"C": 0.625, "H": 0.042, "O": 0.333})),  # PET
}

MATERIALS = tuple(_MATERIALS)


def mass_attenuation(element: str, energy_kev: ArrayLike) -> Floats:
    """Mass attenuation coefficient (cm2/g) of an element between 20 and 300 keV."""
    from scipy.interpolate import CubicSpline

    curve = CubicSpline(np.log(TABLE_KEV), np.log(_MASS_ATTENUATION[element]))
    return np.asarray(np.exp(curve(np.log(energy_kev))))


def attenuation(material: str, energy_kev: ArrayLike) -> Floats:
    """Linear attenuation coefficient (1/mm) of a material of :data:`MATERIALS`."""
    energy = np.asarray(energy_kev, dtype=float)
    per_cm = np.zeros(energy.shape)
    for element, density in _MATERIALS[material].items():
        per_cm = per_cm + density * mass_attenuation(element, energy)
    return per_cm / 10.0


@dataclass(frozen=True)
class Spectrum:
    """Photons that would reach the detector with nothing in the beam.

    Attributes
    ----------
    energy_kev : (n,)
    photons : (n,)
        Share of the photons in each bin; adds up to 1.
    """

    energy_kev: Floats
    photons: Floats


_BINS = 12
_FILTERS = {"aluminium": ("Al", 2.70), "copper": ("Cu", 8.96)}


def spectrum(tube: Tomography) -> Spectrum:
    """Bremsstrahlung after Kramers behind the filter: photons per energy ~ (E0 - E) / E exp(-mu_f t).

    The tube's characteristic lines and its own window are left out; what lies below 20 keV does not pass a
    can. With ``energy_kev`` given the beam is monochromatic.
    """
    if tube.energy_kev is not None:
        return Spectrum(np.array([tube.energy_kev]), np.ones(1))
    edges = np.linspace(TABLE_KEV[0], tube.tube_voltage_kv, _BINS + 1)
    energy = (edges[:-1] + edges[1:]) / 2
    photons = (tube.tube_voltage_kv - energy) / energy
    if tube.filter_material is not None:
        element, density = _FILTERS[tube.filter_material]
        photons = photons * np.exp(-mass_attenuation(element, energy) * density * tube.filter_mm / 10.0)
    return Spectrum(energy, photons / photons.sum())
