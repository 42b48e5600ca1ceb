/* Reads what a kit sent from standard input with the C library and prints what it accepts: `serial_reader frame|line`. */
#include <MmrphysLink.h>

#include <stdio.h>
#include <string.h>

static void print_frame(const mmr_frame *frame) {
    printf("%u %u %u %lu ", (unsigned)frame->type, (unsigned)frame->seq, (unsigned)frame->boot,
           (unsigned long)frame->t_ms);
    for (size_t i = 0; i < frame->length; i++) {
        printf("%02x", (unsigned)frame->payload[i]);
    }
    putchar('\n');
}

static void print_line(const mmr_line *line) {
    printf("%lu %lu %lu %u %u %u %u %u %u\n", (unsigned long)line->person, (unsigned long)line->seq,
           (unsigned long)line->t_ms, (unsigned)line->hr.value, (unsigned)line->hr.sqi, (unsigned)line->hr.state,
           (unsigned)line->rr.value, (unsigned)line->rr.sqi, (unsigned)line->rr.state);
}

static void print_fields(const mmr_frame *frame) { /* by the generated readers, for comparison with Python's */
    if (frame->type == MMR_TYPE_NUMERICS) {
        mmr_numerics n;
        mmr_read_numerics(frame->payload, &n);
        printf("numerics %u %u %u %u %u %u %u %u %u %u %u %u %u %u %u %u\n", n.zone, n.person, n.hr_value,
               n.hr_uncertainty, n.hr_window, n.hr_age_ms, n.hr_sqi, n.hr_state, n.hr_why, n.rr_value, n.rr_uncertainty,
               n.rr_window, n.rr_age_ms, n.rr_sqi, n.rr_state, n.rr_why);
    } else if (frame->type == MMR_TYPE_WAVE) {
        mmr_wave w;
        mmr_read_wave(frame->payload, &w);
        printf("wave %u %u %u %u %lu %u %.9g %.9g", w.zone, w.person, w.wave, w.source, (unsigned long)w.t0_ms, w.first,
               (double)w.fs, (double)w.scale);
        for (size_t i = 0; i < mmr_wave_count(frame); i++) {
            printf(" %d", mmr_wave_sample(frame, i));
        }
        putchar('\n');
    } else if (frame->type == MMR_TYPE_EVENT) {
        mmr_event e;
        mmr_read_event(frame->payload, &e);
        printf("event %u %u %s %s %.*s\n", e.zone, e.person, mmr_event_name(e.code), mmr_severity_name(e.severity),
               (int)(frame->length - MMR_EVENT_BYTES), (const char *)frame->payload + MMR_EVENT_BYTES);
    } else if (frame->type == MMR_TYPE_HELLO) {
        mmr_hello h;
        mmr_read_hello(frame->payload, &h);
        printf("hello %016llx %u %u %s\n", (unsigned long long)h.boot, h.zones, h.zone,
               (const char *)frame->payload + MMR_HELLO_BYTES);
    }
}

/* Encodes what it reads again: the C encoder against the Python one. */
static void echo_frame(const mmr_frame *frame) {
    uint8_t wire[MMR_MAX_WIRE];
    fwrite(wire, 1,
           mmr_encode(frame->type, frame->seq, frame->boot, frame->t_ms, frame->payload, frame->length, wire), stdout);
}

int main(int count, char **words) {
    const char *mode = count == 2 ? words[1] : "";
    mmr_decoder decoder;
    mmr_liner liner;
    int byte;
    mmr_decoder_init(&decoder);
    mmr_liner_init(&liner);
    while ((byte = getchar()) != EOF) {
        mmr_frame frame;
        mmr_line line;
        if (strcmp(mode, "line") == 0) {
            if (mmr_line_byte(&liner, (uint8_t)byte, &line)) {
                print_line(&line);
            }
        } else if (mmr_decode(&decoder, (uint8_t)byte, &frame)) {
            if (strcmp(mode, "frame") == 0) {
                print_frame(&frame);
            } else if (strcmp(mode, "fields") == 0) {
                print_fields(&frame);
            } else {
                echo_frame(&frame);
            }
        }
    }
    fprintf(stderr, "%lu %lu %lu\n", (unsigned long)(decoder.good + liner.good),
            (unsigned long)(decoder.damaged + liner.damaged), (unsigned long)decoder.skipped);
    return 0;
}
