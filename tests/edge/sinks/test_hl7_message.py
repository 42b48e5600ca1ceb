"""Every message is parsed and validated by hl7apy against the structure of ORU^R01 in version 2.6."""

from __future__ import annotations

import itertools

import pytest
from fakes.kit_records import Kit
from hl7apy.parser import parse_message

from edge.sinks.hl7_message import Routing, answer_from_text, text_from_numerics
from edge.vitals import STATES, VALUE_STATES

NOWHERE = Routing()
MDC = {"149530": "MDC_PULS_OXIM_PULS_RATE", "151562": "MDC_RESP_RATE"}


def parsed(record, origin="live", *, late=False, routing=NOWHERE):
    text = text_from_numerics(record, routing, origin, late=late)
    message = parse_message(text, find_groups=True)
    assert message.validate()
    assert message.to_er7() == text.removesuffix("\r"), "nothing was lost or moved by the parser"
    return message


def observations(message):
    group = message.ORU_R01_PATIENT_RESULT.ORU_R01_ORDER_OBSERVATION
    return [one.OBX for one in group.ORU_R01_OBSERVATION]


def rates(message):
    return [obx for obx in observations(message) if obx.obx_3.obx_3_1.to_er7() in MDC]


def local(message, code):
    return [obx for obx in observations(message) if obx.obx_3.obx_3_1.to_er7() == code]


def test_a_message_says_what_where_and_when():
    message = parsed(Kit("a" * 16).look(), routing=Routing("GATEWAY", "WARD"))
    assert message.msh.msh_9.to_er7() == "ORU^R01^ORU_R01"
    assert message.msh.msh_10.to_er7() == f"{'a' * 16}-0"
    assert (message.msh.msh_11.to_er7(), message.msh.msh_12.to_er7()) == ("T", "2.6")
    assert (message.msh.msh_5.to_er7(), message.msh.msh_6.to_er7()) == ("GATEWAY", "WARD")
    assert message.msh.msh_7.to_er7() == "20261118110640.240+0000"
    assert message.ORU_R01_PATIENT_RESULT.ORU_R01_PATIENT.ORU_R01_VISIT.PV1.pv1_3.to_er7() == "kit-7^^main"
    patient = message.ORU_R01_PATIENT_RESULT.ORU_R01_PATIENT.PID
    assert (patient.pid_3.to_er7(), patient.pid_5.to_er7()) == ("kit-7/main^^^mmrphys^ANON", "^^^^^^U")
    order = message.ORU_R01_PATIENT_RESULT.ORU_R01_ORDER_OBSERVATION
    assert (order.OBR.obr_7.to_er7(), order.OBR.obr_8.to_er7()) == (
        "20261118110610.000+0000",
        "20261118110640.000+0000",
    )
    hr, rr = rates(message)
    assert hr.obx_3.to_er7() == "149530^MDC_PULS_OXIM_PULS_RATE^MDC^8867-4^Heart rate^LN"
    assert rr.obx_3.to_er7() == "151562^MDC_RESP_RATE^MDC^9279-1^Respiratory rate^LN"
    assert hr.obx_6.to_er7() == "264864^MDC_DIM_BEAT_PER_MIN^MDC^/min^^UCUM"
    assert rr.obx_6.to_er7() == "264928^MDC_DIM_RESP_PER_MIN^MDC^/min^^UCUM"
    assert (hr.obx_5.to_er7(), rr.obx_5.to_er7()) == ("71.8", "14.2")
    assert hr.obx_14.to_er7() == "20261118110640.000+0000"
    assert hr.obx_18.to_er7() == "kit-7"
    assert "research use, not a medical device" in message.to_er7()


@pytest.mark.parametrize(("hr", "rr"), list(itertools.product(STATES, ["ok", "lost"])))
def test_only_ok_has_a_value_and_the_rest_is_marked(hr, rr):
    message = parsed(Kit("a" * 16).look(hr, rr))
    for name, state, obx in zip(("hr", "rr"), (hr, rr), rates(message), strict=True):
        doubtful = state in VALUE_STATES - {"ok"}
        assert (obx.obx_5.to_er7() != "") == (state == "ok")
        assert obx.obx_11.to_er7() == ("R" if state == "ok" else "X")
        assert obx.obx_8.to_er7() == ("" if state == "ok" else "QUES" if doubtful else "NAV")
        assert bool(local(message, f"{name}-doubtful")) == doubtful
        assert local(message, f"{name}-state")[0].obx_5.to_er7() == f"{state}^^99MMRPHYS"
    assert ("motion: the head moves" in message.to_er7()) == ((hr, rr) != ("ok", "ok"))


@pytest.mark.parametrize(
    ("synced", "origin", "flag"), [(False, "live", ""), (True, "played", ""), (True, "scene", "DEMO")]
)
def test_without_a_trusted_clock_there_is_no_time(synced, origin, flag):
    message = parsed(Kit("a" * 16, synced=synced).look(), origin)
    hr, _ = rates(message)
    assert (hr.obx_5.to_er7(), hr.obx_8.to_er7(), hr.obx_14.to_er7()) == ("71.8", flag, "")
    assert message.ORU_R01_PATIENT_RESULT.ORU_R01_ORDER_OBSERVATION.OBR.obr_7.to_er7() == ""
    late = parsed(Kit("a" * 16, synced=synced).look(), origin, late=True)
    hr, _ = rates(late)
    assert (hr.obx_5.to_er7(), hr.obx_11.to_er7()) == ("", "X"), "an old value without a time would be read as now"
    assert local(late, "hr-doubtful")[0].obx_5.to_er7() == "71.8"
    assert late.msh.msh_11.to_er7() == "T^A"


def test_a_late_message_with_a_time_keeps_its_value_and_is_archive():
    message = parsed(Kit("a" * 16).look(), late=True)
    assert message.msh.msh_11.to_er7() == "T^A"
    assert rates(message)[0].obx_5.to_er7() == "71.8"
    assert rates(message)[0].obx_14.to_er7() == "20261118110640.000+0000"


def test_names_cannot_break_a_message():
    message = parsed(Kit("a" * 16, zone="bed|1^&~\\\r\x1c2").look(), routing=Routing("A|B", "C^D"))
    place = message.ORU_R01_PATIENT_RESULT.ORU_R01_PATIENT.ORU_R01_VISIT.PV1.pv1_3.to_er7()
    assert place == "kit-7^^bed\\F\\1\\S\\\\T\\\\R\\\\E\\2"
    assert message.msh.msh_5.to_er7() == "A\\F\\B"


@pytest.mark.parametrize(("said", "code"), [("AA", "AA"), ("CA", "AA"), ("AE", "AE"), ("CR", "AR")])
def test_an_acknowledgement_is_read(said, code):
    answer = answer_from_text(f"MSH|^~\\&|x\rMSA|{said}|abc-1|full\rERR|||207^internal|E||||try later\r")
    assert (answer.code, answer.control_id) == (code, "abc-1")
    assert answer.reason == ("" if code == "AA" else "full 207 internal try later")


@pytest.mark.parametrize("text", ["", "MSH|^~\\&", "MSH|x\rMSA|ZZ|1", "MSH|x\rMSA|AA"])
def test_what_is_no_acknowledgement_is_refused(text):
    with pytest.raises(ValueError, match="no acknowledgement"):
        answer_from_text(text)
