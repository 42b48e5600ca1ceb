/* Made from edge/sinks/frame_layout.py by `python -m edge.sinks.frame_c`; change that, not this. */
#ifndef MMRPHYS_PAYLOADS_H
#define MMRPHYS_PAYLOADS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define MMR_VERSION 16u
#define MMR_HEADER_BYTES 10u
#define MMR_CRC_BYTES 4u
#define MMR_MAX_BODY 254u
#define MMR_MAX_PAYLOAD 240u
#define MMR_NO_RATE 65535u
#define MMR_NO_PERSON 65535u
#define MMR_NO_ZONE 255u
#define MMR_NO_SAMPLE (-32767 - 1)

enum {
    MMR_TYPE_HELLO = 1,
    MMR_TYPE_NUMERICS = 2,
    MMR_TYPE_WAVE = 3,
    MMR_TYPE_EVENT = 4,
    MMR_TYPE_ACK = 5,
    MMR_TYPE_PING = 6,
};

enum {
    MMR_STATE_FAULT = 0,
    MMR_STATE_CAMERA_LOST = 1,
    MMR_STATE_THERMAL_LOST = 2,
    MMR_STATE_NO_FACE = 3,
    MMR_STATE_STARTING = 4,
    MMR_STATE_STALE = 5,
    MMR_STATE_LOST = 6,
    MMR_STATE_HOLD = 7,
    MMR_STATE_LOW_QUALITY = 8,
    MMR_STATE_OK = 9,
};

enum {
    MMR_REASON_NONE = 0,
    MMR_REASON_WARMING_UP = 1,
    MMR_REASON_NO_FACE = 2,
    MMR_REASON_FACE_SMALL = 3,
    MMR_REASON_FACE_MOVED = 4,
    MMR_REASON_MOTION = 5,
    MMR_REASON_DARK = 6,
    MMR_REASON_OVEREXPOSED = 7,
    MMR_REASON_EXPOSURE_AUTO = 8,
    MMR_REASON_LIGHT_CHANGE = 9,
    MMR_REASON_LOW_FPS = 10,
    MMR_REASON_JITTER = 11,
    MMR_REASON_GAP = 12,
    MMR_REASON_FROZEN = 13,
    MMR_REASON_COMPRESSED = 14,
    MMR_REASON_FFC = 15,
    MMR_REASON_NO_THERMAL = 16,
    MMR_REASON_THERMAL_GAP = 17,
    MMR_REASON_CUES_DISAGREE = 18,
    MMR_REASON_WEAK_SIGNAL = 19,
    MMR_REASON_NOT_ALIVE = 20,
    MMR_REASON_RATE_OUT_OF_BAND = 21,
    MMR_REASON_CAMERA_ENDED = 22,
    MMR_REASON_RUNTIME = 23,
    MMR_REASON_NOT_IN_MODEL = 24,
    MMR_REASON_OTHER = 25,
    MMR_REASON_COLD_FACE = 26,
    MMR_REASON_DRAUGHT = 27,
};

enum {
    MMR_EVENT_OTHER = 0,
    MMR_EVENT_HR_STATE = 1,
    MMR_EVENT_RR_STATE = 2,
    MMR_EVENT_INPUT_ENDED = 3,
    MMR_EVENT_INPUT_BROKEN = 4,
    MMR_EVENT_RUNTIME_FAULT = 5,
    MMR_EVENT_PERSON_CAME = 6,
    MMR_EVENT_PERSON_LEFT = 7,
    MMR_EVENT_RECORDING_ENDED = 8,
    MMR_EVENT_PACE = 9,
    MMR_EVENT_IDENTIFY = 10,
    MMR_EVENT_COMMAND = 11,
};

enum {
    MMR_SEVERITY_INFO = 0,
    MMR_SEVERITY_NOTICE = 1,
    MMR_SEVERITY_WARNING = 2,
};

enum {
    MMR_WAVE_PLETH = 0,
    MMR_WAVE_RESP = 1,
};

/* Followed by text to the end of the payload: name of the device, a zero byte, name of the zone. */
#define MMR_HELLO_BYTES 10u
typedef struct {
    uint64_t boot; /* the whole boot number */
    uint8_t zones; /* how many zones there are; each has a hello of its own */
    uint8_t zone; /* index of the zone named here */
} mmr_hello;

#define MMR_NUMERICS_BYTES 25u
typedef struct {
    uint8_t zone; /* index of the zone, which hello names */
    uint16_t person; /* low bits of the track id */
    uint16_t hr_value; /* 0.1 per minute; 65535: none */
    uint16_t hr_uncertainty; /* standard uncertainty in 0.1 per minute; 65535: none */
    uint16_t hr_window; /* seconds of signal looked at, in 0.1 s */
    uint16_t hr_age_ms; /* age of the newest frame behind the value when this was sent; 65535: or older */
    uint8_t hr_sqi; /* 0 to 100 */
    uint8_t hr_state; /* number of the state; only ok, low_quality and hold have a value */
    uint8_t hr_why; /* number of the first reason, 0 in ok */
    uint16_t rr_value; /* 0.1 per minute; 65535: none */
    uint16_t rr_uncertainty; /* standard uncertainty in 0.1 per minute; 65535: none */
    uint16_t rr_window; /* seconds of signal looked at, in 0.1 s */
    uint16_t rr_age_ms; /* age of the newest frame behind the value when this was sent; 65535: or older */
    uint8_t rr_sqi; /* 0 to 100 */
    uint8_t rr_state; /* number of the state; only ok, low_quality and hold have a value */
    uint8_t rr_why; /* number of the first reason, 0 in ok */
} mmr_numerics;

/* Followed by samples to the end of the payload: -32768 is a gap, never to be bridged. */
#define MMR_WAVE_BYTES 19u
typedef struct {
    uint8_t zone; /* index of the zone, which hello names */
    uint16_t person; /* low bits of the track id */
    uint8_t wave; /* 0 pleth, 1 resp */
    uint8_t source; /* camera: 0 rgb, 1 thermal */
    uint32_t t0_ms; /* stream time of the block's first sample, modulo 2^32 ms */
    uint16_t first; /* index in the block of the first sample here, at t0_ms + 1000 first / fs */
    float fs; /* samples per second */
    float scale; /* arbitrary units per count */
} mmr_wave;

/* Followed by text to the end of the payload: in words, cut to fit. */
#define MMR_EVENT_BYTES 5u
typedef struct {
    uint8_t zone; /* 255: about the device */
    uint16_t person; /* 65535: nobody */
    uint8_t code; /* number of the event, 0: another one */
    uint8_t severity; /* 0 info, 1 notice, 2 warning */
} mmr_event;

#define MMR_ACK_BYTES 3u
typedef struct {
    uint8_t of_type; /* type that is acknowledged */
    uint16_t of_seq; /* its seq */
} mmr_ack;

/* Whether a payload of `length` bytes can be one of `type`; false for a type that is not known. */
bool mmr_payload_fits(uint8_t type, size_t length);

/* Whether a rate in this state carries a number. */
bool mmr_state_has_value(uint8_t state);

/* Fields of a hello payload that fits. */
void mmr_read_hello(const uint8_t *payload, mmr_hello *out);

/* Fields of a numerics payload that fits. */
void mmr_read_numerics(const uint8_t *payload, mmr_numerics *out);

/* Fields of a wave payload that fits. */
void mmr_read_wave(const uint8_t *payload, mmr_wave *out);

/* Fields of a event payload that fits. */
void mmr_read_event(const uint8_t *payload, mmr_event *out);

/* Fields of a ack payload that fits. */
void mmr_read_ack(const uint8_t *payload, mmr_ack *out);

/* Names for people; "?" for a number that is not known. */
const char *mmr_state_name(uint8_t number);
const char *mmr_reason_name(uint8_t number);
const char *mmr_event_name(uint8_t number);
const char *mmr_severity_name(uint8_t number);
const char *mmr_wave_name(uint8_t number);

#ifdef __cplusplus
}
#endif

#endif
