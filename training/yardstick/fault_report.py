"""The fault campaign's report: tables as Markdown and CSV, everything as JSON, three pictures."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Picture

from edge.metrics import LIMITS_PER_MIN
from training.yardstick.fault_figures import Campaign, KindLine, is_wrong
from training.yardstick.fault_play import Played, Row
from training.yardstick.fault_scenes import KINDS
from training.yardstick.layout import csv_text, json_bytes, markdown_table

__all__ = ["markdown", "save"]

_COLOURS = {"ok": "#0b7261", "low_quality": "#d9a21b", "hold": "#8a8a8a"}
_KIND_HEAD = (
    "fault", "n", "coverage", "ok MAE", "ok", "wrong", "false confidence", "left ok <= 2 s", "latest s", "told",
)  # fmt: skip


_LEGEND = (
    "Made by `python -m training.yardstick.fault_campaign`. A value is wrong when it is more than "
    f"{LIMITS_PER_MIN['hr']:g} (HR) or {LIMITS_PER_MIN['rr']:g} (RR) per minute from the truth, false confidence is "
    "the share of `ok` values that are. Coverage counts the seconds before the fault in which a value was due. *Left "
    "ok*: of recordings that were `ok` when the fault came, those that were not 2 s later; looks are 1 s apart. "
    "*Told*: recordings in which one of the fault's codes was among the reasons. Gates were mended on failures of one "
    "half of the scenes; the other half was looked at when that was done, and alone is held out."
)
_WRONG_HEAD = ("scene", "mode", "rate", "at s", "value", "truth")
_FIRST_HEAD = ("what", "mode", "came before the fault", "median s", "90 % s", "latest s", "limit")
_QUALITY_HEAD = (
    "rate", "mode", "sqi", "values", "recordings", "wrong", "MAE", "values from here up", "of these wrong", "MAE",
)  # fmt: skip
_BEAT_HEAD = (
    "mode", "stated uncertainty ms", "recordings", "intervals", "stated, rms", "true error, rms", "true error, MAE",
    "RMSSD values", "RMSSD MAE", "true RMSSD, mean",
)  # fmt: skip


def _number(value: float | None, form: str = ".2f") -> str:
    return "-" if value is None else format(value, form)


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100.0 * value:.1f} %"


def _kind_cells(line: KindLine) -> list[str]:
    latest = [left for left in line.left_s if left is not None]
    kept = len(line.left_s) - len(latest)
    return [
        line.kind, str(line.recordings), _percent(line.coverage), _number(line.mae), str(line.ok), str(line.ok_wrong),
        _percent(line.false_confidence), f"{line.left_in_time} of {line.was_ok}" if line.of else "may stay",
        (f"{max(latest):.1f}" if latest else "-") + (f", {kept} never" if kept else ""),
        f"{line.told} of {line.of}" if line.of else "-",
    ]  # fmt: skip


def _first_cells(result: Campaign) -> Iterator[list[str]]:
    for line in result.first:
        within = "-" if line.limit_s is None else f"{line.within} of {line.came} within {line.limit_s:g} s"
        times = [_number(time, ".1f") for time in (line.median_s, line.p90_s, line.largest_s)]
        yield [line.what, line.mode, f"{line.came} of {line.recordings}", *times, within]


def _quality_cells(result: Campaign) -> Iterator[list[str]]:
    for line in result.qualities:
        yield [
            line.rate.upper(), line.mode, f"{line.low:g} - {line.high:g}", str(line.looks), str(line.recordings),
            _percent(line.wrong), _number(line.mae), str(line.at_least_looks), _percent(line.at_least_wrong),
            _number(line.at_least_mae),
        ]  # fmt: skip


def _beat_cells(result: Campaign) -> Iterator[list[str]]:
    for line in result.beats:
        yield [
            line.mode, f"{line.low_ms:g} - {line.high_ms:g}", str(line.recordings), str(line.intervals),
            *(_number(value, ".1f") for value in (line.stated_ms, line.rms_ms, line.mae_ms)), str(line.rmssd),
            *(_number(value, ".1f") for value in (line.rmssd_mae_ms, line.true_rmssd_ms)),
        ]  # fmt: skip


def markdown(result: Campaign) -> str:
    """All tables."""
    title = f"# Fault campaign: {result.scenes} scenes"
    made = f"{result.notice}. Bundle {result.bundle[:19]}, measured on {result.machine}."
    blocks = [f"{title}\n\n{made}\n\n{_LEGEND}\n"]
    for mode in ("exact", "stream"):
        for rate in ("hr", "rr"):
            lines = [_kind_cells(line) for line in result.kinds if (line.mode, line.rate) == (mode, rate)]
            blocks.append(f"## {rate.upper()}, mode {mode}\n\n{markdown_table(_KIND_HEAD, lines)}")
    blocks.append(f"## From the first frame on\n\n{markdown_table(_FIRST_HEAD, _first_cells(result))}")
    worth = markdown_table(_QUALITY_HEAD, _quality_cells(result))
    blocks.append(f"## What a quality is worth\n\nStates `ok` and `low_quality`.\n\n{worth}")
    blocks.append(f"## Beat intervals, in ms\n\n{markdown_table(_BEAT_HEAD, _beat_cells(result))}")
    wrong = markdown_table(_WRONG_HEAD, ([str(cell) for cell in line] for line in result.wrong_ok))
    blocks.append(f"## Every `ok` value that is wrong\n\n{wrong}")
    faults = markdown_table(("fault", "what happens", "HR says one of", "RR says one of"), _fault_cells())
    blocks.append(f"## The faults\n\n{faults}")
    return "\n".join(blocks)


def _fault_cells() -> Iterator[list[str]]:
    for name, kind in KINDS.items():
        yield [name, kind.text, *(" ".join(sorted(codes)) or "may stay ok, if right" for codes in (kind.hr, kind.rr))]


def save(result: Campaign, done: Sequence[Played], folder: Path) -> list[Path]:
    """Write everything into ``folder``."""
    folder.mkdir(parents=True, exist_ok=True)
    made: dict[str, bytes] = {
        "campaign.json": json_bytes(result),
        "campaign.md": markdown(result).encode(),
        "recordings.csv": _csv(done).encode(),
        "timelines.png": _png(_timelines(done)),
        "quality.png": _png(_quality(result, done)),
        "leaving.png": _png(_leaving(result)),
    }
    for name, data in made.items():
        (folder / name).write_bytes(data)
    return [folder / name for name in made]


def _csv(done: Sequence[Played]) -> str:
    """One line for each recording, mode and rate."""
    head = ("scene", "level", "fault", "at_s", "for_s", "mode", "rate", "ok", "wrong", "mae", "camera", "uri")
    lines = []
    for one in done:
        scene = one.scene
        for mode, rate in dict.fromkeys((row.mode, row.rate) for row in one.rows):
            ok = [row for row in one.rows if (row.mode, row.rate, row.state) == (mode, rate, "ok")]
            mae = np.mean([abs((row.value or 0.0) - row.truth) for row in ok]).round(2) if ok else None
            wrong = sum(map(is_wrong, ok))
            lines.append([
                scene.name, scene.level, scene.kind, scene.at_s, scene.for_s, mode, rate, len(ok), wrong, mae, one.fps,
                scene.uri,
            ])  # fmt: skip
    return csv_text(head, lines)


# ------------------------------------------------------------------------------------------------------------ pictures


def _timelines(done: Sequence[Played]) -> Picture:
    """HR in mode exact of the first recording of each kind that was ``ok`` when its fault came."""
    chosen = {kind: _shown([one for one in done if one.scene.kind == kind]) for kind in KINDS}
    shown = {kind: one for kind, one in chosen.items() if one is not None}
    picture = Picture(figsize=(15.0, 2.6 * -(-len(shown) // 3)), layout="constrained")
    axes = picture.subplots(-(-len(shown) // 3), 3, squeeze=False).ravel()
    for axis, (kind, one) in zip(axes, shown.items(), strict=False):
        first = one.rows[0].seat
        for rate, marker in (("hr", "o"), ("rr", "^")):
            rows = [row for row in one.rows if (row.seat, row.mode, row.rate) == (first, "exact", rate)]
            _timeline(axis, rows, marker)
        axis.axvspan(one.scene.at_s, one.scene.at_s + one.scene.for_s, color="#c8553d", alpha=0.18, linewidth=0)
        axis.set_title(f"{kind}, {one.scene.level}", fontsize=10)
        axis.set(xlim=(0, 45), ylim=(0, None))
        axis.grid(alpha=0.25)
    for axis in axes[len(shown) :]:
        axis.set_axis_off()
    for state, colour in _COLOURS.items():
        axes[0].plot([], [], "o", color=colour, markersize=4, label=state)
    axes[0].plot([], [], "-", color="#1c2126", linewidth=1, label="true")
    for axis in axes[-3:]:
        axis.set_xlabel("seconds of the scene; red: the fault")
    picture.supylabel("per minute; circles: HR, triangles: RR", fontsize=10)
    picture.legend(loc="outside lower center", ncols=4, fontsize=10)
    return picture


def _shown(done: Sequence[Played]) -> Played | None:
    def at_fault(one: Played) -> int:
        return sum(row.state == "ok" and row.mode == "exact" and row.t_s <= one.scene.at_s for row in one.rows)

    return max(done, key=at_fault, default=None)


def _timeline(axis: Axes, rows: Sequence[Row], marker: str) -> None:
    axis.plot([row.t_s for row in rows], [row.truth for row in rows], "-", color="#1c2126", linewidth=1)
    for state, colour in _COLOURS.items():
        at = [(row.t_s, row.value) for row in rows if row.state == state and row.value is not None]
        axis.plot([t for t, _ in at], [value for _, value in at], marker, color=colour, markersize=3.5)


def _quality(result: Campaign, done: Sequence[Played]) -> Picture:
    """Error against quality, by rate, and the share wrong by band; beside them beats: stated against true."""
    picture = Picture(figsize=(13.5, 4.0), layout="constrained")
    axes = picture.subplots(1, 3)
    for axis, rate in zip(axes, ("hr", "rr"), strict=False):
        rows = [r for one in done for r in one.rows if r.rate == rate and r.mode == "exact"]
        for state in ("low_quality", "ok"):
            shown = [(r.sqi, abs((r.value or 0.0) - r.truth)) for r in rows if r.state == state]
            x, y = np.array(shown).T if shown else np.empty((2, 0))
            axis.plot(x, np.clip(y, 0.05, 200.0), ".", color=_COLOURS[state], markersize=3, alpha=0.5, label=state)
        lines = [line for line in result.qualities if (line.rate, line.mode) == (rate, "exact")]
        for line in lines:
            if line.wrong is not None:
                axis.text(0.5 * (line.low + line.high), 130.0, f"{100.0 * line.wrong:.0f} %", fontsize=7, ha="center")
        axis.axhline(LIMITS_PER_MIN[rate], color="#1c2126", linewidth=1, linestyle="--")
        axis.set(xlabel="quality (sqi)", ylabel="error, per minute", yscale="log", xlim=(0, 1.02), ylim=(0.04, 250))
        axis.set_title(f"{rate.upper()}: error by quality; on top, the share that is wrong", fontsize=9)
        axis.legend(fontsize=8, loc="lower left")
        axis.grid(alpha=0.25)
    beats = [b for one in done for b in one.beats if b.mode == "exact" and b.errors_ms]
    axes[2].plot(
        [b.uncertainty_ms for b in beats], [max(map(abs, b.errors_ms)) for b in beats], ".", color="#3f8fd2",
        markersize=3, alpha=0.5,
    )  # fmt: skip
    axes[2].plot([0, 20], [0, 20], "--", color="#1c2126", linewidth=1, label="error = stated uncertainty")
    axes[2].set(xlabel="stated uncertainty, ms", ylabel="largest error of the new intervals, ms", ylim=(0, 80))
    axes[2].set_title("Beat intervals", fontsize=9)
    axes[2].legend(fontsize=8)
    axes[2].grid(alpha=0.25)
    return picture


def _leaving(result: Campaign) -> Picture:
    """When ``ok`` was left, by kind of fault; a cross at the right end where it never was; none that was not ``ok``."""
    picture = Picture(figsize=(9.0, 5.2), layout="constrained")
    looks = {"exact": ("#0b7261", -0.15), "stream": ("#a23b72", 0.15)}
    for axis, rate in zip(picture.subplots(1, 2, sharey=True), ("hr", "rr"), strict=True):
        names = [name for name, kind in KINDS.items() if kind.hr or kind.rr]
        for line in result.kinds:
            if line.rate != rate or line.kind not in names or not getattr(KINDS[line.kind], rate):
                continue
            colour, aside = looks[line.mode]
            y = names.index(line.kind) + aside
            left = [one for one in line.left_s if one is not None]
            axis.plot(left, [y] * len(left), "o", color=colour, markersize=4, alpha=0.6)
            axis.plot(
                [7.5] * (len(line.left_s) - len(left)), [y] * (len(line.left_s) - len(left)), "x", color="#c8553d"
            )
        axis.axvline(2.0, color="#1c2126", linewidth=1, linestyle="--")
        axis.set_yticks(range(len(names)), names)
        axis.set(xlabel="seconds after the fault began", xlim=(0, 8))
        axis.set_title(f"{rate.upper()} leaves ok", fontsize=10)
        axis.grid(alpha=0.25)
    for mode, (colour, _) in looks.items():
        axis.plot([], [], "o", color=colour, markersize=4, alpha=0.6, label=f"mode {mode}")
    axis.plot([], [], "x", color="#c8553d", label="never")
    axis.plot([], [], "--", color="#1c2126", linewidth=1, label="limit")
    picture.legend(loc="outside lower center", ncols=4, fontsize=9)
    return picture


def _png(picture: Picture) -> bytes:
    buffer = io.BytesIO()
    picture.savefig(buffer, format="png", dpi=100)
    return buffer.getvalue()
