// The C decoder as one object, for ESPHome lambdas or any other C++. `Uart` has available, read_byte and write_array.
#pragma once

#include <math.h>

#include "src/MmrphysLink.h"

class MmrphysReader {
 public:
  explicit MmrphysReader(uint8_t zone = 0) : zone_(zone) {
    mmr_decoder_init(&decoder_);
    mmr_shown_init(&hr_);
    mmr_shown_init(&rr_);
  }

  // Takes what has come, and acknowledges events and pings. Call it often: a UART holds few bytes.
  template <class Uart> void poll(Uart *uart, uint32_t now_ms) {
    uint8_t byte;
    mmr_frame frame;
    while (uart->available() > 0 && uart->read_byte(&byte)) {
      if (!mmr_decode(&decoder_, byte, &frame)) continue;
      if (frame.type == MMR_TYPE_NUMERICS) {
        take(&frame, now_ms);
      } else if (frame.type != MMR_TYPE_WAVE && frame.type != MMR_TYPE_ACK) {
        uint8_t wire[MMR_MAX_WIRE];
        uart->write_array(wire, mmr_encode_ack(&frame, now_ms, wire));
      }
    }
  }

  // Per minute, or NaN, which Home Assistant shows as unknown: never older than 10 s.
  float hr(uint32_t now_ms) { return rate(&hr_, now_ms); }
  float rr(uint32_t now_ms) { return rate(&rr_, now_ms); }

  // As told, or "silent" when the kit has told nothing for 3 s.
  const char *hr_state(uint32_t now_ms) { return state(&hr_, now_ms); }
  const char *rr_state(uint32_t now_ms) { return state(&rr_, now_ms); }
  bool heard(uint32_t now_ms) { return !mmr_shown_silent(&hr_, now_ms); }

 private:
  void take(const mmr_frame *frame, uint32_t now_ms) {
    mmr_numerics numerics;
    mmr_read_numerics(frame->payload, &numerics);
    if (numerics.zone != zone_) return;
    mmr_show_frame_hr(&hr_, &numerics, now_ms);
    mmr_show_frame_rr(&rr_, &numerics, now_ms);
  }

  static float rate(mmr_shown *shown, uint32_t now_ms) {
    uint16_t value;
    return mmr_shown_value(shown, now_ms, &value) ? value / 10.0f : NAN;
  }

  static const char *state(mmr_shown *shown, uint32_t now_ms) {
    return mmr_shown_silent(shown, now_ms) ? "silent" : mmr_state_name(shown->state);
  }

  uint8_t zone_;
  mmr_decoder decoder_;
  mmr_shown hr_;
  mmr_shown rr_;
};

// The one of this device, for zone 0; hello frames and `mmrphys serial decode` tell which zone that is.
inline MmrphysReader &mmrphys_reader() {
  static MmrphysReader reader(0);
  return reader;
}
