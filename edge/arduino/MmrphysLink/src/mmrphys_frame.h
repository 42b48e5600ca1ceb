/* Frames from and to bytes: 00 | COBS(header, payload, CRC-32) | 00. No allocation, 255 bytes of state. */
#ifndef MMRPHYS_FRAME_H
#define MMRPHYS_FRAME_H

#include "mmrphys_payloads.h"

#ifdef __cplusplus
extern "C" {
#endif

#define MMR_MAX_WIRE (MMR_MAX_BODY + 3u)

/* A sound frame. `payload` lies in the decoder and holds until its next byte. */
typedef struct {
    uint8_t version;
    uint8_t type;
    uint16_t seq;
    uint16_t boot;
    uint32_t t_ms;
    const uint8_t *payload;
    size_t length;
} mmr_frame;

/* Set to zero (mmr_decoder_init) before the first byte. The counts go on for ever and wrap. */
typedef struct {
    uint8_t held[MMR_MAX_BODY + 1u];
    size_t length;
    bool overlong;
    uint32_t good;
    uint32_t damaged;
    uint32_t skipped; /* sound, but of a newer version or of a type that is not known */
} mmr_decoder;

void mmr_decoder_init(mmr_decoder *decoder);

/* Takes one byte; true when it ends a sound frame that can be read, which `out` then tells. */
bool mmr_decode(mmr_decoder *decoder, uint8_t byte, mmr_frame *out);

/* Writes a frame for the wire, delimiters included, to `wire` of MMR_MAX_WIRE bytes; how many, 0 when too long. */
size_t mmr_encode(uint8_t type, uint16_t seq, uint16_t boot, uint32_t t_ms, const uint8_t *payload, size_t length,
                  uint8_t *wire);

/* The frame that acknowledges `frame` (an event or a ping); how many bytes of `wire`. */
size_t mmr_encode_ack(const mmr_frame *frame, uint32_t now_ms, uint8_t *wire);

/* CRC-32 as of zlib. */
uint32_t mmr_crc32(const uint8_t *data, size_t length);

/* Sample number `index` of a wave frame: MMR_NO_SAMPLE is a gap. `count` is how many there are. */
size_t mmr_wave_count(const mmr_frame *frame);
int16_t mmr_wave_sample(const mmr_frame *frame, size_t index);

#ifdef __cplusplus
}
#endif

#endif
