"""What a comparison says, in sentences that need no table. No sentence says more than the figures do."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timezone

from edge.metrics import LIMITS_PER_MIN, Agreement
from edge.validation.compare import MIN_PAIRS, Comparison, Offset, Part, RateFigures

__all__ = ["NAMES", "cautions", "iso", "limits_text", "moment", "offset_words", "percent", "plain", "signed", "verdict"]

NAMES = {"hr": "Heart rate", "rr": "Breathing rate"}
_COARSE_STEP_S = 5.0


def percent(share: float | None) -> str:
    """``78%``; one decimal near both ends, so that a rare wrong value does not vanish."""
    if share is None:
        return "-"
    digits = 1 if 0.0 < share < 0.1 or 0.95 < share < 1.0 else 0
    return f"{100.0 * share:.{digits}f}%"


def plain(value: float | None) -> str:
    """``1.43``, or a dash."""
    return "-" if value is None else f"{value:.2f}"


def signed(value: float | None) -> str:
    """``+0.31``, or a dash."""
    return "-" if value is None else f"{value:+.2f}"


def limits_text(shown: Agreement) -> str:
    """``-2.10 to +2.60``, or a dash."""
    return "-" if shown.loa_low is None else f"{signed(shown.loa_low)} to {signed(shown.loa_high)}"


def iso(seconds: float) -> str:
    """A time of day: ``2026-11-22T10:15:07Z``."""
    return f"{datetime.fromtimestamp(seconds, timezone.utc):%Y-%m-%dT%H:%M:%SZ}"


def moment(seconds: float, live: bool) -> str:
    """A time on the kit's clock: of day where it is live, else since its start."""
    if not live:
        return f"{seconds:.0f} s"
    return f"{datetime.fromtimestamp(seconds, timezone.utc):%Y-%m-%d %H:%M:%S} UTC"


def verdict(result: Comparison) -> dict[str, tuple[str, ...]]:
    """Sentences for each rate."""
    return {rate: tuple(_rate_words(rate, figures)) for rate, figures in result.rates.items()}


def _rate_words(rate: str, figures: RateFigures) -> Iterator[str]:
    name, limit, overall = NAMES[rate], LIMITS_PER_MIN[rate], figures.overall
    if not overall.due:
        yield f"{name} cannot be judged: no look has a reference."
        return
    shown, wrong_share = overall.published.agreement, overall.published.false_confidence
    yield (
        f"{name} was ok in {overall.paired} of the {overall.due} looks that have a reference "
        f"({percent(overall.published.coverage)})."
    )
    if not overall.paired:
        yield f"{name} cannot be judged: no value that was ok has a reference."
        return
    limits = "" if shown.loa_low is None else f" and limits of agreement {limits_text(shown)}"
    yield (
        f"Those values were {plain(shown.rmse)} per minute from the reference (A_RMS), with a bias of "
        f"{signed(shown.bias)}{limits}; {round((wrong_share or 0.0) * overall.paired)} of {overall.paired} "
        f"({percent(wrong_share)}) were wrong by more than {limit:g} per minute."
    )
    if overall.paired < MIN_PAIRS:
        yield f"That is too little to judge by: want at least {MIN_PAIRS} looks that are ok and have a reference."


def offset_words(result: Comparison) -> tuple[str, ...]:
    """How the clocks were joined, how sure that is, and what it does to the figures."""
    offset = result.offset
    return (_offset_used(offset), *_offset_found(offset), *_offset_beside(offset), *_offset_zero(result))


def _offset_used(offset: Offset) -> str:
    where = {
        "found": "found by comparing the heart rates",
        "given": "given with --offset-s",
        "assumed": "assumed, because it is not identifiable from the heart rates",
    }[offset.origin]
    if offset.related:
        ahead = "behind" if offset.used_s < 0.0 else "ahead of"
        far = f"{abs(offset.used_s):.1f} s {ahead} the kit's" if offset.used_s else "taken to equal the kit's"
        return f"The reference's clock is {far}: {where}."
    together = ", as if both had begun together" if offset.origin == "assumed" else ""
    return f"The kit's first look is at {offset.used_s:.1f} s of the reference{together}: {where}."


def _offset_found(offset: Offset) -> Iterator[str]:
    found = offset.search
    if offset.origin == "given":
        return
    if found is None:
        yield f"Fewer than {MIN_PAIRS} heart rates could be paired at any offset, so that none could be found."
        return
    between = f"{found.low_s:.1f} to {found.high_s:.1f} s"
    if offset.origin == "found":
        yield f"Offsets from {between} fit about as well."
        return
    if found.at_edge:
        yield f"The best fit, {found.offset_s:.1f} s, is at the edge of the search: allow more with --max-offset-s."
    else:
        yield (
            f"The best fit was {found.offset_s:.1f} s, but it does not stand out: offsets from {between} fit about as "
            "well, or none fits. A heart rate that rises and falls would tell them apart."
        )


def _offset_beside(offset: Offset) -> Iterator[str]:
    maes = {one.beside_s: one.mae for one in offset.beside}
    here, early, late = maes[0.0], maes[-5.0], maes[5.0]
    if here is not None and early is not None and late is not None:
        yield (
            f"The mean error of HR is {plain(here)} per minute at this offset, {plain(early)} with 5 s less and "
            f"{plain(late)} with 5 s more."
        )


def _offset_zero(result: Comparison) -> Iterator[str]:
    parts = [
        f"{rate.upper()} A_RMS {_rmse(figures.at_zero)} instead of {_rmse(figures.overall)}"
        for rate, figures in result.rates.items()
        if figures.at_zero is not None and figures.overall.paired
    ]
    if parts:
        yield f"With offset 0, both clocks taken as right, it would be: {', '.join(parts)} per minute."
    if result.offset.origin == "found":
        yield (
            "The offset was chosen on these same data, which can only flatter the figures. To report them, set both "
            "clocks by one time server, or give a known offset with --offset-s."
        )


def _rmse(part: Part) -> str:
    return plain(part.published.agreement.rmse)


def cautions(result: Comparison) -> tuple[str, ...]:
    """What to bear in mind with these figures."""
    coarse = (
        f"The reference gives {rate.upper()} only every {figures.reference_step_s:.0f} s; each of its rows stands for "
        "the time around it, and what changed in between counts against the kit."
        for rate, figures in result.rates.items()
        if figures.reference_step_s > _COARSE_STEP_S
    )
    return (
        "Looks a second apart share most of their window: the figures rest on far fewer independent readings.",
        *coarse,
    )
