#include "mmrphys_line.h"

#include <string.h>

static const mmr_liner nothing;
static const char START[] = "$PMMR,1,";
enum { START_LENGTH = 8, CRC_LENGTH = 4, END_LENGTH = 5 }; /* the end is *XX\r\n */

/* What is left to read of the text between the start and the CRC. */
typedef struct {
    const char *at;
    const char *end;
} reader;

static int hex_digit(char sign) {
    if (sign >= '0' && sign <= '9') {
        return sign - '0';
    }
    return sign >= 'A' && sign <= 'F' ? sign - 'A' + 10 : -1;
}

/* Upper-case hex of `digits` signs; false when a sign is none. */
static bool hex(const char *text, size_t digits, uint16_t *out) {
    uint16_t value = 0;
    for (size_t i = 0; i < digits; i++) {
        const int digit = hex_digit(text[i]);
        if (digit < 0) {
            return false;
        }
        value = (uint16_t)((uint16_t)(value << 4) | (uint16_t)digit);
    }
    *out = value;
    return true;
}

static uint16_t crc16(const char *text, size_t length) { /* CRC-16/IBM-3740 */
    uint16_t crc = 0xFFFFu;
    for (size_t i = 0; i < length; i++) {
        crc ^= (uint16_t)((uint16_t)(uint8_t)text[i] << 8);
        for (uint8_t bit = 0; bit < 8; bit++) {
            crc = (uint16_t)((crc & 0x8000u) ? (uint16_t)(crc << 1) ^ 0x1021u : (uint16_t)(crc << 1));
        }
    }
    return crc;
}

static bool comma(reader *r) {
    if (r->at < r->end && *r->at == ',') {
        r->at++;
        return true;
    }
    return false;
}

/* 1 to `digits` digits that fit into 32 bits. */
static bool number(reader *r, size_t digits, uint32_t *out) {
    const char *from = r->at;
    uint32_t value = 0;
    while (r->at < r->end && *r->at >= '0' && *r->at <= '9') {
        const uint32_t digit = (uint32_t)(*r->at - '0');
        if (value > (0xFFFFFFFFu - digit) / 10u) {
            return false;
        }
        value = 10u * value + digit;
        r->at++;
    }
    *out = value;
    return r->at > from && (size_t)(r->at - from) <= digits;
}

static bool rate_value(reader *r, uint16_t *out) {
    uint32_t whole;
    uint32_t tenth;
    if (r->end - r->at >= 3 && memcmp(r->at, "---", 3) == 0) {
        r->at += 3;
        *out = MMR_NO_RATE;
        return true;
    }
    if (!number(r, 3, &whole) || r->at == r->end || *r->at++ != '.' || !number(r, 1, &tenth)) {
        return false;
    }
    *out = (uint16_t)(10u * whole + tenth);
    return true;
}

static bool rate_state(reader *r, uint8_t *out) {
    const char *from = r->at;
    while (r->at < r->end && *r->at != ',') {
        r->at++;
    }
    for (uint8_t state = 0; state <= MMR_STATE_OK; state++) {
        const char *name = mmr_state_name(state);
        if (strlen(name) == (size_t)(r->at - from) && memcmp(name, from, strlen(name)) == 0) {
            *out = state;
            return true;
        }
    }
    return false;
}

static bool rate(reader *r, mmr_line_rate *out) {
    uint32_t sqi;
    if (!rate_value(r, &out->value) || !comma(r) || !number(r, 3, &sqi) || !comma(r) || !rate_state(r, &out->state)) {
        return false;
    }
    out->sqi = (uint8_t)sqi;
    return comma(r) && sqi <= 100u && (out->value != MMR_NO_RATE) == mmr_state_has_value(out->state);
}

static bool checks_hold(const char *text, size_t length) {
    const char *star = text + length - END_LENGTH;
    uint16_t crc;
    uint16_t check;
    uint8_t seen = 0;
    for (const char *at = text + 1; at < star; at++) {
        seen ^= (uint8_t)*at;
    }
    return *star == '*' && star[3] == '\r' && star[4] == '\n' && hex(star + 1, 2, &check) && check == seen &&
           hex(star - CRC_LENGTH, CRC_LENGTH, &crc) && crc == crc16(text + 1, (size_t)(star - CRC_LENGTH - text - 1));
}

bool mmr_line_read(const char *text, size_t length, mmr_line *out) {
    reader r;
    if (length < START_LENGTH + CRC_LENGTH + END_LENGTH || memcmp(text, START, START_LENGTH) != 0 ||
        !checks_hold(text, length)) {
        return false;
    }
    r.at = text + START_LENGTH;
    r.end = text + length - END_LENGTH - CRC_LENGTH;
    return number(&r, 10, &out->person) && comma(&r) && number(&r, 10, &out->seq) && comma(&r) &&
           number(&r, 10, &out->t_ms) && comma(&r) && rate(&r, &out->hr) && rate(&r, &out->rr) && r.at == r.end;
}

void mmr_liner_init(mmr_liner *liner) {
    *liner = nothing;
}

bool mmr_line_byte(mmr_liner *liner, uint8_t byte, mmr_line *out) {
    bool sound = false;
    if (byte == '$') { /* a line begins, whatever was before */
        liner->damaged += liner->length > 0 && liner->held[0] == '$';
        liner->length = 0;
        liner->overlong = false;
    }
    if (liner->length == sizeof liner->held) {
        liner->overlong = true;
    } else {
        liner->held[liner->length++] = (char)byte;
    }
    if (byte == '\n') {
        sound = !liner->overlong && mmr_line_read(liner->held, liner->length, out);
        liner->good += sound;
        liner->damaged += !sound && liner->held[0] == '$';
        liner->length = 0;
        liner->overlong = false;
    }
    return sound;
}
