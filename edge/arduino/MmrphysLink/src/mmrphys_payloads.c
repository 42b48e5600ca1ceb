/* Made from edge/sinks/frame_layout.py by `python -m edge.sinks.frame_c`; change that, not this. */
#include "mmrphys_payloads.h"

#include <string.h>

static uint8_t get_u8(const uint8_t *at) {
    return at[0];
}

static uint16_t get_u16(const uint8_t *at) {
    return (uint16_t)(get_u8(at) | (uint16_t)((uint16_t)get_u8(at + 1) << 8));
}

static uint32_t get_u32(const uint8_t *at) {
    return (uint32_t)(get_u16(at) | (uint32_t)((uint32_t)get_u16(at + 2) << 16));
}

static uint64_t get_u64(const uint8_t *at) {
    return (uint64_t)(get_u32(at) | (uint64_t)((uint64_t)get_u32(at + 4) << 32));
}

static float get_f32(const uint8_t *at) {
    const uint32_t bits = get_u32(at);
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

bool mmr_payload_fits(uint8_t type, size_t length) {
    switch (type) {
    case 1u: return length <= MMR_MAX_PAYLOAD && length >= 10u;
    case 2u: return length == 25u;
    case 3u: return length <= MMR_MAX_PAYLOAD && length >= 19u && (length - 19u) % 2u == 0u;
    case 4u: return length <= MMR_MAX_PAYLOAD && length >= 5u;
    case 5u: return length == 3u;
    case 6u: return length == 0u;
    default: return false;
    }
}

bool mmr_state_has_value(uint8_t state) {
    return state == 7u || state == 8u || state == 9u;
}

void mmr_read_hello(const uint8_t *payload, mmr_hello *out) {
    out->boot = get_u64(payload + 0);
    out->zones = get_u8(payload + 8);
    out->zone = get_u8(payload + 9);
}

void mmr_read_numerics(const uint8_t *payload, mmr_numerics *out) {
    out->zone = get_u8(payload + 0);
    out->person = get_u16(payload + 1);
    out->hr_value = get_u16(payload + 3);
    out->hr_uncertainty = get_u16(payload + 5);
    out->hr_window = get_u16(payload + 7);
    out->hr_age_ms = get_u16(payload + 9);
    out->hr_sqi = get_u8(payload + 11);
    out->hr_state = get_u8(payload + 12);
    out->hr_why = get_u8(payload + 13);
    out->rr_value = get_u16(payload + 14);
    out->rr_uncertainty = get_u16(payload + 16);
    out->rr_window = get_u16(payload + 18);
    out->rr_age_ms = get_u16(payload + 20);
    out->rr_sqi = get_u8(payload + 22);
    out->rr_state = get_u8(payload + 23);
    out->rr_why = get_u8(payload + 24);
}

void mmr_read_wave(const uint8_t *payload, mmr_wave *out) {
    out->zone = get_u8(payload + 0);
    out->person = get_u16(payload + 1);
    out->wave = get_u8(payload + 3);
    out->source = get_u8(payload + 4);
    out->t0_ms = get_u32(payload + 5);
    out->first = get_u16(payload + 9);
    out->fs = get_f32(payload + 11);
    out->scale = get_f32(payload + 15);
}

void mmr_read_event(const uint8_t *payload, mmr_event *out) {
    out->zone = get_u8(payload + 0);
    out->person = get_u16(payload + 1);
    out->code = get_u8(payload + 3);
    out->severity = get_u8(payload + 4);
}

void mmr_read_ack(const uint8_t *payload, mmr_ack *out) {
    out->of_type = get_u8(payload + 0);
    out->of_seq = get_u16(payload + 1);
}

const char *mmr_state_name(uint8_t number) {
    static const char *const names[] = {
        "fault",
        "camera_lost",
        "thermal_lost",
        "no_face",
        "starting",
        "stale",
        "lost",
        "hold",
        "low_quality",
        "ok",
    };
    return number < sizeof names / sizeof names[0] ? names[number] : "?";
}

const char *mmr_reason_name(uint8_t number) {
    static const char *const names[] = {
        "none",
        "warming_up",
        "no_face",
        "face_small",
        "face_moved",
        "motion",
        "dark",
        "overexposed",
        "exposure_auto",
        "light_change",
        "low_fps",
        "jitter",
        "gap",
        "frozen",
        "compressed",
        "ffc",
        "no_thermal",
        "thermal_gap",
        "cues_disagree",
        "weak_signal",
        "not_alive",
        "rate_out_of_band",
        "camera_ended",
        "runtime",
        "not_in_model",
        "other",
        "cold_face",
        "draught",
    };
    return number < sizeof names / sizeof names[0] ? names[number] : "?";
}

const char *mmr_event_name(uint8_t number) {
    static const char *const names[] = {
        "other",
        "hr_state",
        "rr_state",
        "input_ended",
        "input_broken",
        "runtime_fault",
        "person_came",
        "person_left",
        "recording_ended",
        "pace",
        "identify",
        "command",
    };
    return number < sizeof names / sizeof names[0] ? names[number] : "?";
}

const char *mmr_severity_name(uint8_t number) {
    static const char *const names[] = {
        "info",
        "notice",
        "warning",
    };
    return number < sizeof names / sizeof names[0] ? names[number] : "?";
}

const char *mmr_wave_name(uint8_t number) {
    static const char *const names[] = {
        "pleth",
        "resp",
    };
    return number < sizeof names / sizeof names[0] ? names[number] : "?";
}
