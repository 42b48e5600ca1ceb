/* What may be shown, and whether the link is alive: never a value older than 10 s, whatever happens to the link. */
#ifndef MMRPHYS_SHOW_H
#define MMRPHYS_SHOW_H

#include "mmrphys_line.h"
#include "mmrphys_payloads.h"

#ifdef __cplusplus
extern "C" {
#endif

#define MMR_MAX_AGE_MS 10000u
#define MMR_SILENT_MS 3000u
/* A line has no age. A value in ok or low_quality is at most this old when its line comes; one in hold may be older
 * and is shown only as long as the one before it would have been. */
#define MMR_LINE_AGE_MS 4000u

/* One rate on a display. Ask at least once a day: the clock of millis() wraps after 49. */
typedef struct {
    bool heard;
    bool has_value;
    uint16_t value; /* 0.1 per minute */
    uint8_t state;  /* as last told */
    uint32_t heard_ms;
    uint32_t born_ms; /* when its newest frame was taken, by our clock */
} mmr_shown;

void mmr_shown_init(mmr_shown *shown);
void mmr_show_frame_hr(mmr_shown *shown, const mmr_numerics *numerics, uint32_t now_ms);
void mmr_show_frame_rr(mmr_shown *shown, const mmr_numerics *numerics, uint32_t now_ms);
void mmr_show_line(mmr_shown *shown, const mmr_line_rate *rate, uint32_t now_ms);

/* True when there is a value to show; else show dashes. */
bool mmr_shown_value(mmr_shown *shown, uint32_t now_ms, uint16_t *value);

/* True when nothing was told for 3 s: mark what is shown. */
bool mmr_shown_silent(mmr_shown *shown, uint32_t now_ms);

/* A watch that is content while values in ok keep coming, and only then: from the start, and after silence, it is not. */
typedef struct {
    bool content;
    uint32_t limit_ms;
    uint32_t born_ms;
} mmr_watch;

void mmr_watch_init(mmr_watch *watch, uint32_t limit_ms);
void mmr_watch_numerics(mmr_watch *watch, const mmr_numerics *numerics, uint32_t now_ms);
bool mmr_watch_content(mmr_watch *watch, uint32_t now_ms);

#ifdef __cplusplus
}
#endif

#endif
