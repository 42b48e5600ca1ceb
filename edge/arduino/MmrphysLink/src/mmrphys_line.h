/* Lines: $PMMR,1,<person>,<seq>,<t_ms>,<HR>,<sqi>,<state>,<RR>,<sqi>,<state>,<CRC>*<XOR>, both checks verified. */
#ifndef MMRPHYS_LINE_H
#define MMRPHYS_LINE_H

#include "mmrphys_payloads.h"

#ifdef __cplusplus
extern "C" {
#endif

#define MMR_MAX_LINE 100u

typedef struct {
    uint16_t value; /* 0.1 per minute, or MMR_NO_RATE */
    uint8_t sqi;    /* 0 to 100 */
    uint8_t state;  /* MMR_STATE_... */
} mmr_line_rate;

typedef struct {
    uint32_t person;
    uint32_t seq;
    uint32_t t_ms; /* the kit's monotonic clock, modulo 2^32 */
    mmr_line_rate hr;
    mmr_line_rate rr;
} mmr_line;

/* Set to zero (mmr_liner_init) before the first byte. */
typedef struct {
    char held[MMR_MAX_LINE];
    size_t length;
    bool overlong;
    uint32_t good;
    uint32_t damaged; /* began as one of ours and is none */
} mmr_liner;

void mmr_liner_init(mmr_liner *liner);

/* Takes one byte; true when it ends a sound line, which `out` then tells. */
bool mmr_line_byte(mmr_liner *liner, uint8_t byte, mmr_line *out);

/* Reads one whole line, its "\r\n" included. */
bool mmr_line_read(const char *text, size_t length, mmr_line *out);

#ifdef __cplusplus
}
#endif

#endif
