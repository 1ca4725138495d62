"""What a tube's X-rays meet in a cell: attenuation of its materials, and the spectrum that meets them.

Between 20 and 300 keV no element of a cell has an absorption edge, so tables of a few energies, interpolated
in the logarithms, are enough.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from xctrules.phantom.spec import Tomography

Floats = NDArray[np.floating[Any]]

TABLE_KEV = (20.0, 30.0, 40.0, 50.0, 60.0, 80.0, 100.0, 150.0, 200.0, 300.0)

# Mass attenuation coefficients with coherent scattering, cm2/g, at TABLE_KEV; to three or four digits after
# Hubbell and Seltzer, Tables of X-Ray Mass Attenuation Coefficients, NIST Standard Reference Database 126.
_MASS_ATTENUATION: Mapping[str, tuple[float, ...]] = {
    "H": (0.3695, 0.357, 0.346, 0.3355, 0.326, 0.309, 0.294, 0.265, 0.243, 0.211),
    "Li": (0.186, 0.164, 0.155, 0.149, 0.144, 0.136, 0.129, 0.116, 0.106, 0.0921),
    "C": (0.442, 0.256, 0.208, 0.187, 0.175, 0.161, 0.151, 0.135, 0.123, 0.107),
    "O": (0.865, 0.378, 0.259, 0.213, 0.191, 0.168, 0.155, 0.136, 0.124, 0.107),
    "Al": (3.44, 1.128, 0.5685, 0.368, 0.278, 0.202, 0.170, 0.138, 0.122, 0.104),
    "Mn": (22.5, 7.14, 3.17, 1.714, 1.060, 0.531, 0.337, 0.184, 0.139, 0.106),
    "Fe": (25.7, 8.18, 3.63, 1.958, 1.205, 0.595, 0.372, 0.196, 0.146, 0.110),
    "Co": (28.0, 8.96, 3.98, 2.144, 1.314, 0.641, 0.395, 0.202, 0.148, 0.109),
    "Ni": (32.2, 10.34, 4.60, 2.474, 1.512, 0.731, 0.444, 0.221, 0.158, 0.115),
    "Cu": (33.8, 10.92, 4.86, 2.613, 1.593, 0.763, 0.458, 0.222, 0.156, 0.112),
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
    table = np.log(_MASS_ATTENUATION[element])
    return np.asarray(np.exp(np.interp(np.log(energy_kev), np.log(TABLE_KEV), table)))


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
