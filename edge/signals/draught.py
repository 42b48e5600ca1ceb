"""Is it the air of the room? Breath warms and cools nostrils and lips; a draught, a fan or a heater the whole face.

At the breathing rate the temperature of cheeks and forehead is compared with that of the nostrils, all against what is
beside the face. A head that moves shows its edges in some of them; in a draught all of them follow.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from edge.signals.filters import band_pass, transform
from edge.signals.references import cheek_mean, forehead_mean, nostril_mean, thermal_surround_mean
from edge.vitals import RR_BAND

__all__ = ["draught_share"]


def draught_share(cells_degc: npt.NDArray[np.float32], rate_per_min: float, fs: float) -> float:
    """How much of the nostrils' swing at a rate cheeks and forehead share, the lesser of the two, from ``[T, 9, 9]``.

    Cells are in degC. 0 is breath, 1 a whole face that swings alike; below 0 they swing against each other. It means
    little where the nostrils hardly swing.
    """
    beside = thermal_surround_mean(cells_degc)
    places = [mean(cells_degc) - beside for mean in (nostril_mean, cheek_mean, forehead_mean)]
    rates, z = transform(band_pass(np.stack(places, axis=1), RR_BAND, fs), RR_BAND, fs)
    nostril, *others = z[np.abs(rates - rate_per_min).argmin()]
    power = max(float(np.abs(nostril) ** 2), 1e-30)
    return min(float(np.real(other * np.conj(nostril))) / power for other in others)
