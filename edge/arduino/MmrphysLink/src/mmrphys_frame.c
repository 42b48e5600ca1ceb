#include "mmrphys_frame.h"

#include <string.h>

static const mmr_decoder nothing;

void mmr_decoder_init(mmr_decoder *decoder) {
    *decoder = nothing;
}

uint32_t mmr_crc32(const uint8_t *data, size_t length) {
    /* Half a byte a step: a table of 64 bytes, for small boards. */
    static const uint32_t table[16] = {
        0x00000000u, 0x1DB71064u, 0x3B6E20C8u, 0x26D930ACu, 0x76DC4190u, 0x6B6B51F4u, 0x4DB26158u, 0x5005713Cu,
        0xEDB88320u, 0xF00F9344u, 0xD6D6A3E8u, 0xCB61B38Cu, 0x9B64C2B0u, 0x86D3D2D4u, 0xA00AE278u, 0xBDBDF21Cu,
    };
    uint32_t crc = 0xFFFFFFFFu;
    for (size_t i = 0; i < length; i++) {
        crc ^= data[i];
        crc = (crc >> 4) ^ table[crc & 15u];
        crc = (crc >> 4) ^ table[crc & 15u];
    }
    return ~crc;
}

static uint16_t get_u16(const uint8_t *at) {
    return (uint16_t)(at[0] | (uint16_t)(at[1] << 8));
}

static uint32_t get_u32(const uint8_t *at) {
    return get_u16(at) | (uint32_t)get_u16(at + 2) << 16;
}

static void put_u16(uint8_t *at, uint16_t value) {
    at[0] = (uint8_t)(value & 0xFFu);
    at[1] = (uint8_t)(value >> 8);
}

static void put_u32(uint8_t *at, uint32_t value) {
    put_u16(at, (uint16_t)(value & 0xFFFFu));
    put_u16(at + 2, (uint16_t)(value >> 16));
}

/* Undoes COBS in place; the length of the body, 0 when it is none. `held` has no zero byte. */
static size_t unstuff(uint8_t *held, size_t length) {
    size_t from = 0;
    size_t to = 0;
    while (from < length) {
        const size_t end = from + held[from];
        if (end > length) {
            return 0;
        }
        if (from > 0) {
            held[to++] = 0;
        }
        for (from++; from < end; from++) {
            held[to++] = held[from];
        }
    }
    return to;
}

static bool rate_can_be(uint16_t value, uint8_t sqi, uint8_t state, uint8_t why) {
    return state <= MMR_STATE_OK && sqi <= 100u && (value != MMR_NO_RATE) == mmr_state_has_value(state) &&
           (why == 0u) == (state == MMR_STATE_OK);
}

/* A sound CRC says that this was sent; this says that the sender meant it. */
static bool can_be(const mmr_frame *frame) {
    if (!mmr_payload_fits(frame->type, frame->length)) {
        return false;
    }
    if (frame->type == MMR_TYPE_NUMERICS) {
        mmr_numerics n;
        mmr_read_numerics(frame->payload, &n);
        return rate_can_be(n.hr_value, n.hr_sqi, n.hr_state, n.hr_why) &&
               rate_can_be(n.rr_value, n.rr_sqi, n.rr_state, n.rr_why);
    }
    if (frame->type == MMR_TYPE_WAVE) {
        mmr_wave w;
        mmr_read_wave(frame->payload, &w);
        return w.wave <= MMR_WAVE_RESP && w.source <= 1u && w.fs > 0.0f && w.fs <= 3.4e38f && w.scale > 0.0f &&
               w.scale <= 3.4e38f;
    }
    if (frame->type == MMR_TYPE_EVENT) {
        mmr_event e;
        mmr_read_event(frame->payload, &e);
        return e.severity <= MMR_SEVERITY_WARNING;
    }
    return true;
}

static bool ended(mmr_decoder *decoder, mmr_frame *out) {
    uint8_t *body = decoder->held;
    const size_t length = decoder->overlong ? 0 : unstuff(body, decoder->length);
    if (length < MMR_HEADER_BYTES + MMR_CRC_BYTES ||
        mmr_crc32(body, length - MMR_CRC_BYTES) != get_u32(body + length - MMR_CRC_BYTES)) {
        decoder->damaged++;
        return false;
    }
    out->version = body[0];
    out->type = body[1];
    out->seq = get_u16(body + 2);
    out->boot = get_u16(body + 4);
    out->t_ms = get_u32(body + 6);
    out->payload = body + MMR_HEADER_BYTES;
    out->length = length - MMR_HEADER_BYTES - MMR_CRC_BYTES;
    if (out->version > MMR_VERSION || out->type < MMR_TYPE_HELLO || out->type > MMR_TYPE_PING) {
        decoder->skipped++;
        return false;
    }
    if (!can_be(out)) {
        decoder->damaged++;
        return false;
    }
    decoder->good++;
    return true;
}

bool mmr_decode(mmr_decoder *decoder, uint8_t byte, mmr_frame *out) {
    bool sound = false;
    if (byte != 0) {
        if (decoder->length == sizeof decoder->held) {
            decoder->overlong = true;
        } else {
            decoder->held[decoder->length++] = byte;
        }
        return false;
    }
    if (decoder->length > 0) { /* else between two delimiters */
        sound = ended(decoder, out);
    }
    decoder->length = 0;
    decoder->overlong = false;
    return sound;
}

size_t mmr_encode(uint8_t type, uint16_t seq, uint16_t boot, uint32_t t_ms, const uint8_t *payload, size_t length,
                  uint8_t *wire) {
    uint8_t body[MMR_MAX_BODY];
    size_t size = MMR_HEADER_BYTES + length;
    size_t code = 1;
    size_t to = 2;
    if (length > MMR_MAX_PAYLOAD) {
        return 0;
    }
    body[0] = MMR_VERSION;
    body[1] = type;
    put_u16(body + 2, seq);
    put_u16(body + 4, boot);
    put_u32(body + 6, t_ms);
    if (length > 0) {
        memcpy(body + MMR_HEADER_BYTES, payload, length);
    }
    put_u32(body + size, mmr_crc32(body, size));
    size += MMR_CRC_BYTES;
    wire[0] = 0;
    for (size_t i = 0; i < size; i++) { /* wire[code] will say how far the next zero is */
        if (body[i] == 0) {
            wire[code] = (uint8_t)(to - code);
            code = to++;
        } else {
            wire[to++] = body[i];
        }
    }
    wire[code] = (uint8_t)(to - code);
    wire[to++] = 0;
    return to;
}

size_t mmr_encode_ack(const mmr_frame *frame, uint32_t now_ms, uint8_t *wire) {
    uint8_t payload[MMR_ACK_BYTES];
    payload[0] = frame->type;
    put_u16(payload + 1, frame->seq);
    return mmr_encode(MMR_TYPE_ACK, frame->seq, frame->boot, now_ms, payload, sizeof payload, wire);
}

size_t mmr_wave_count(const mmr_frame *frame) {
    return frame->type == MMR_TYPE_WAVE ? (frame->length - MMR_WAVE_BYTES) / 2u : 0u;
}

int16_t mmr_wave_sample(const mmr_frame *frame, size_t index) {
    const uint16_t bits = get_u16(frame->payload + MMR_WAVE_BYTES + 2u * index);
    int16_t value;
    memcpy(&value, &bits, sizeof value);
    return value;
}
