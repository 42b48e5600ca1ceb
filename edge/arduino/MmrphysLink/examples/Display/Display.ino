// Heart and breathing rate as text, from an mmrphys-edge kit that sends lines:
//   mmrphys run ... --sink "serial:/dev/ttyACM0?baud=115200&profile=line"
// Lines come in on LINK; text goes out on OUT once a second. On a board with one port both are that port: put a
// serial text display on its TX pin. "?" marks a value that is not sure or not from just now; dashes mean none.
// Research use, not a medical device.
#include <MmrphysLink.h>

#define LINK Serial
#define OUT Serial

static mmr_liner liner;
static mmr_shown hr;
static mmr_shown rr;
static uint32_t printed_ms = 0;

static void print_rate(const char *name, mmr_shown *shown, uint32_t now) {
  uint16_t value;
  OUT.print(name);
  if (!mmr_shown_value(shown, now, &value)) {
    OUT.print("---");
    return;
  }
  OUT.print((value + 5) / 10);
  if (shown->state != MMR_STATE_OK || mmr_shown_silent(shown, now)) OUT.print("?");
}

void setup() {
  LINK.begin(115200);
  mmr_liner_init(&liner);
  mmr_shown_init(&hr);
  mmr_shown_init(&rr);
}

void loop() {
  const uint32_t now = millis();
  while (LINK.available() > 0) {
    mmr_line line;
    if (mmr_line_byte(&liner, (uint8_t)LINK.read(), &line)) {
      mmr_show_line(&hr, &line.hr, now);
      mmr_show_line(&rr, &line.rr, now);
    }
  }
  if (now - printed_ms >= 1000) {
    printed_ms = now;
    print_rate("HR ", &hr, now);
    print_rate("  RR ", &rr, now);
    OUT.println();
  }
}
