#include "mmrphys_show.h"

static const mmr_shown nothing;

void mmr_shown_init(mmr_shown *shown) {
    *shown = nothing;
}

static void told(mmr_shown *shown, uint16_t value, uint8_t state, uint32_t now_ms) {
    shown->heard = true;
    shown->heard_ms = now_ms;
    shown->state = state;
    shown->value = value;
}

static void show_frame(mmr_shown *shown, uint16_t value, uint8_t state, uint16_t age_ms, uint32_t now_ms) {
    told(shown, value, state, now_ms);
    shown->has_value = value != MMR_NO_RATE && age_ms <= MMR_MAX_AGE_MS;
    shown->born_ms = now_ms - age_ms;
}

void mmr_show_frame_hr(mmr_shown *shown, const mmr_numerics *numerics, uint32_t now_ms) {
    show_frame(shown, numerics->hr_value, numerics->hr_state, numerics->hr_age_ms, now_ms);
}

void mmr_show_frame_rr(mmr_shown *shown, const mmr_numerics *numerics, uint32_t now_ms) {
    show_frame(shown, numerics->rr_value, numerics->rr_state, numerics->rr_age_ms, now_ms);
}

void mmr_show_line(mmr_shown *shown, const mmr_line_rate *rate, uint32_t now_ms) {
    told(shown, rate->value, rate->state, now_ms);
    if (rate->value == MMR_NO_RATE) {
        shown->has_value = false;
    } else if (rate->state != MMR_STATE_HOLD) {
        shown->has_value = true;
        shown->born_ms = now_ms - MMR_LINE_AGE_MS;
    }
}

bool mmr_shown_value(mmr_shown *shown, uint32_t now_ms, uint16_t *value) {
    if (shown->has_value && now_ms - shown->born_ms > MMR_MAX_AGE_MS) {
        shown->has_value = false; /* for good: the clock may wrap before the next value */
    }
    *value = shown->has_value ? shown->value : (uint16_t)MMR_NO_RATE;
    return shown->has_value;
}

bool mmr_shown_silent(mmr_shown *shown, uint32_t now_ms) {
    if (shown->heard && now_ms - shown->heard_ms > MMR_SILENT_MS) {
        shown->heard = false;
    }
    return !shown->heard;
}

void mmr_watch_init(mmr_watch *watch, uint32_t limit_ms) {
    watch->content = false;
    watch->limit_ms = limit_ms;
    watch->born_ms = 0;
}

void mmr_watch_numerics(mmr_watch *watch, const mmr_numerics *numerics, uint32_t now_ms) {
    if (numerics->hr_state == MMR_STATE_OK && numerics->hr_age_ms <= watch->limit_ms) {
        watch->content = true;
        watch->born_ms = now_ms - numerics->hr_age_ms;
    }
}

bool mmr_watch_content(mmr_watch *watch, uint32_t now_ms) {
    if (watch->content && now_ms - watch->born_ms > watch->limit_ms) {
        watch->content = false;
    }
    return watch->content;
}
