"""Every Observation is validated by fhir.resources as R4B, and by the rules that it does not check."""

from __future__ import annotations

import json
from collections import Counter

import pytest
from fakes.kit_records import Kit
from fhir.resources.R4B.bundle import Bundle
from fhir.resources.R4B.observation import Observation

from edge.cli import main
from edge.health.fhir import LOCAL, observations
from edge.health.survey import Choice, survey_of
from edge.vitals import STATES, VALUE_STATES

VITAL_SIGNS = "http://hl7.org/fhir/StructureDefinition/vitalsigns"


def converted(path, *options: str, out=None) -> list[dict]:
    out = out or path.with_suffix(".ndjson")
    assert main(["convert", str(path), "--to", "fhir", "--out", str(out), *options]) == 0
    return [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]


def check(one: dict) -> None:
    """The library's model, then the invariants of R4 that it leaves out (obs-6, vs-2, vs-3)."""
    Observation.model_validate(one)
    values = [key for key in one if key.startswith("value")]
    assert len(values) + ("dataAbsentReason" in one) == 1, "a value, or why there is none"
    for part in one.get("component", []):
        assert len([key for key in part if key.startswith("value")]) == 1
    if VITAL_SIGNS in one.get("meta", {}).get("profile", []):
        assert one["subject"]["reference"]
        assert "effectivePeriod" in one or "effectiveDateTime" in one
        assert one["category"][0]["coding"][0]["code"] == "vital-signs"
        assert one["code"]["coding"][0]["system"] == "http://loinc.org"


def component(one: dict, code: str) -> dict | None:
    return next((part for part in one["component"] if part["code"]["coding"][0]["code"] == code), None)


def test_every_observation_is_valid_and_only_ok_has_a_value(two_runs):
    found = converted(two_runs, "--subject", "Patient/7")
    assert Counter(one["code"]["coding"][0]["code"] for one in found) == {"8867-4": 37, "9279-1": 37, "150452": 30}
    for one in found:
        check(one)
        if one["code"]["coding"][0]["code"] == "150452":
            continue
        state = component(one, "state")["valueCodeableConcept"]["coding"][0]
        assert state["system"] == LOCAL
        assert ("valueQuantity" in one) == (state["code"] == "ok")
        assert (component(one, "doubtful-rate") is not None) == (state["code"] in VALUE_STATES - {"ok"})
        assert one["status"] == ("preliminary" if state["code"] in VALUE_STATES - {"ok"} else "final")
        assert VITAL_SIGNS in one["meta"]["profile"]
        assert bool(component(one, "why")) == (state["code"] != "ok")
    states = {
        component(one, "state")["valueCodeableConcept"]["coding"][0]["code"] for one in found if "category" in one
    }
    assert states == set(STATES)


def test_a_value_has_its_codes_unit_window_and_device(write):
    kit = Kit("1" * 16)
    found = converted(write(kit.health(), kit.look()))
    hr, rr = found
    assert hr["valueQuantity"] == {
        "value": 71.8, "unit": "/min", "system": "http://unitsofmeasure.org", "code": "/min",
    }  # fmt: skip
    assert hr["effectivePeriod"] == {"start": "2026-11-18T11:06:30.000Z", "end": "2026-11-18T11:06:40.000Z"}
    assert rr["effectivePeriod"]["start"] == "2026-11-18T11:06:10.000Z", "the window of 30 s"
    assert hr["identifier"] == [{"system": "urn:mmrphys:record", "value": f"kit-7/{'1' * 16}/1/hr"}]
    assert hr["device"]["identifier"]["value"] == "kit-7"
    assert "subject" not in hr
    assert "profile" not in hr.get("meta", {}), "no profile is claimed for nobody"
    assert len({one["id"] for one in found}) == 2
    again = Kit("1" * 16)
    assert found == converted(write(again.health(), again.look(), name="again.jsonl")), "the same record, the same ids"


def test_a_wave_is_sampled_data_with_gaps_as_gaps(write):
    kit = Kit("1" * 16)
    wave = converted(write(kit.health(), kit.look(), kit.wave()))[2]
    check(wave)
    data = wave["valueSampledData"]["data"].split(" ")
    assert data[:5] == ["-0.5", "-0.375", "-0.25", "E", "0.0"]
    assert len(data) == 30
    assert wave["valueSampledData"]["period"] == pytest.approx(1000 / 30)
    assert wave["effectivePeriod"] == {"start": "2026-11-18T11:06:40.240Z", "end": "2026-11-18T11:06:41.240Z"}


@pytest.mark.parametrize("record", ["look", "wave"])
@pytest.mark.parametrize(("synced", "uptime_s"), [(False, 1.0), (True, None)])
def test_without_a_trusted_clock_there_is_no_time_and_no_profile(record, synced, uptime_s):
    """A free clock, or a recording that was played."""
    kit = Kit("1" * 16, synced=synced)
    records = [kit.health(uptime_s), getattr(kit, record)()]
    run = survey_of(records).run_of(records[1])
    for one in observations(records[1], run, Choice(subject="Patient/7")):
        check(one)
        assert one["_effectiveDateTime"]["extension"][0]["valueCode"] == "unknown"
        assert "effectivePeriod" not in one
        assert "meta" not in one
        assert len(one["note"]) == 2


def test_a_scene_is_marked_as_test_data(write):
    kit = Kit("1" * 16)
    meta = kit.factory.meta(
        software="0.1.0", bundle="sha256:ab", signature="none", graph="g", graph_why="only one", runtime="onnxrt",
        mode="exact", zones=["main"], cameras={"rgb": "synthetic:?hr=72"},
    )  # fmt: skip
    for one in converted(write(meta, kit.health(None), kit.look())):
        check(one)
        assert one["meta"]["security"][0]["code"] == "HTEST"


def test_a_bundle_holds_all_observations(two_runs, tmp_path):
    out = tmp_path / "bundle.json"
    assert main(["convert", str(two_runs), "--to", "fhir-bundle", "--out", str(out)]) == 0
    bundle = json.loads(out.read_text())
    Bundle.model_validate(bundle)
    assert [entry["resource"] for entry in bundle["entry"]] == converted(two_runs)
    assert {entry["fullUrl"] for entry in bundle["entry"]} == {
        f"urn:uuid:{one['resource']['id']}" for one in bundle["entry"]
    }


def test_a_subject_is_one_person(write, capsys):
    kit = Kit("1" * 16)
    crowd = write(kit.health(), kit.look(person=0), kit.look(person=1))
    assert main(["convert", str(crowd), "--to", "fhir", "--subject", "Patient/7"]) == 2
    assert "add --person N" in capsys.readouterr().err
    assert len(converted(crowd, "--subject", "Patient/7", "--person", "1")) == 2
    assert main(["convert", str(crowd), "--to", "fhir", "--subject", "Mrs Smith"]) == 2
    other = Kit("1" * 16, zone="bed-2")
    beds = write(kit.look(), other.look(), name="beds.jsonl")
    assert main(["convert", str(beds), "--to", "fhir", "--subject", "Patient/7"]) == 2
    assert "add --zone NAME" in capsys.readouterr().err
