// A relay that opens when the link or the quality is lost: closed only while heart rates in state ok keep coming from
// the zone, the newest at most 10 s old. Unplugged, silent, damaged, unpowered, just started: open.
//   mmrphys run ... --sink "serial:/dev/ttyACM0?baud=115200&profile=frame"
// It tells that there is no reading, never that a person is well or not. Research use, not a medical device.
#include <MmrphysLink.h>

#define LINK Serial
static const uint8_t RELAY_PIN = 7;  // high closes the relay: without power or firmware it is open
static const uint8_t ZONE = 0;       // hello frames name the zones

static mmr_decoder decoder;
static mmr_watch watch;

static void answer(const mmr_frame *frame, uint32_t now) {
  uint8_t wire[MMR_MAX_WIRE];
  LINK.write(wire, mmr_encode_ack(frame, now, wire));
}

static void take(const mmr_frame *frame, uint32_t now) {
  if (frame->type == MMR_TYPE_NUMERICS) {
    mmr_numerics numerics;
    mmr_read_numerics(frame->payload, &numerics);
    if (numerics.zone == ZONE) mmr_watch_numerics(&watch, &numerics, now);
  } else if (frame->type == MMR_TYPE_EVENT || frame->type == MMR_TYPE_PING || frame->type == MMR_TYPE_HELLO) {
    answer(frame, now);  // events that are not acknowledged come again
  }
}

void setup() {
  digitalWrite(RELAY_PIN, LOW);
  pinMode(RELAY_PIN, OUTPUT);
  LINK.begin(115200);
  mmr_decoder_init(&decoder);
  mmr_watch_init(&watch, MMR_MAX_AGE_MS);
}

void loop() {
  const uint32_t now = millis();
  while (LINK.available() > 0) {
    mmr_frame frame;
    if (mmr_decode(&decoder, (uint8_t)LINK.read(), &frame)) take(&frame, now);
  }
  digitalWrite(RELAY_PIN, mmr_watch_content(&watch, now) ? HIGH : LOW);
}
