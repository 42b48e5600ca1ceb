"""The outcome of a simulation in words."""

from __future__ import annotations

from collections.abc import Iterator

from edge.fleet.simulate import Outcome

__all__ = ["lines_from_outcome"]


def lines_from_outcome(outcome: Outcome) -> Iterator[str]:
    """A few lines: what happened, what arrived, how late, what it took."""
    plan, verdict = outcome.plan, outcome.verdict
    yield (
        f"{plan.kits} kits for {outcome.took_s:g} s: {verdict.numerics} numerics and {verdict.events} events taken; "
        f"{outcome.restarts} restarts, {outcome.cuts} cuts of all links"
    )
    yield (
        f"lost {verdict.lost}, still in outboxes {verdict.kept}, heard more than once {verdict.duplicates}, "
        f"strange {verdict.strange}"
        + (f"; waves {verdict.waves}, of which not heard {verdict.waves_lost}" if verdict.waves else "")
    )
    yield f"live: {_ages(verdict.live_ms)}; later than 2 s {verdict.late_share:.2%}"
    if verdict.history:
        yield f"history: {verdict.history} messages, {_ages(verdict.history_ms)}"
    per_kit = 1.0 / (plan.kits * max(outcome.took_s, 1e-9))
    yield (
        f"heard per kit and second: {verdict.messages * per_kit:.2f} messages, "
        f"{(verdict.payload_bytes + verdict.topic_bytes) * per_kit:.0f} bytes of topic and payload"
    )
    yield (
        f"this process: {outcome.cpu_share:.2f} processor seconds a second, at most {outcome.behind_s:.2f} s behind"
        + (": too slow here, lateness is its own" if outcome.behind_s > 1.0 else "")
    )


def _ages(ages_ms: dict[str, float | None]) -> str:
    return ", ".join(f"{name} {'-' if age is None else f'{age:.0f} ms'}" for name, age in ages_ms.items())
