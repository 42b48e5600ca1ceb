"""Mode ``exact`` for one person, held to the letter: other modes and more people leave its records alone."""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec
from fakes.painted_face import Bench, rgb_frames, thermal_frames

from edge.faces.track import TrackerConfig
from edge.publish import Publisher
from edge.sinks.factory import RecordFactory
from edge.sinks.records import comparable, encode

DIGEST = "db7c7dfb20907f98da1d55753b85fc3e058e405e0f065097f977d4f14e44d01b"
"""Of numerics, waves and events; less words, uncertainties, and the waves' samples, whose last digit may differ between
processors."""


def test_one_persons_records_are_what_they_were() -> None:
    frames = sorted([*rgb_frames(26), *thermal_frames(24)], key=lambda frame: frame.pts_ns)
    bench = Bench(thermal=True, looks=TrackerConfig(confirm_after_s=0.2)).feed(frames)  # as it was then
    bench.finish()
    publisher = Publisher(RecordFactory("kit-1", "0" * 16), lambda: bench.pipeline.counts, dict)
    records: list[dict[str, Any]] = [
        msgspec.json.decode(encode(record)) for output in bench.outputs for record, _ in publisher.records(output)
    ]
    kinds = [record["kind"] for record in records]
    assert {kind: kinds.count(kind) for kind in set(kinds)} == {
        "numerics": 26, "wave": 26, "event": 4, "health": 3
    }  # fmt: skip
    records = [record for record in records if record["kind"] != "health"]  # counters may be added there
    for record in records:
        record.pop("ibi", None)  # beat intervals came later, beside what was there
        for rate in (record.get("hr", {}), record.get("rr", {})):
            for later in ("sources", "source_sqi", "uncertainty"):  # modalities too; what is stated was calibrated
                rate.pop(later, None)
        record["bundle"] = record["text"] = ""  # the default bundle may be exported anew, and words bettered
        if record["kind"] == "wave":
            record["samples"] = len(record["samples"])
    assert hashlib.sha256(msgspec.json.encode(comparable(records))).hexdigest() == DIGEST
