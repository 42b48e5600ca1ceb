// The reader of the ESPHome example on a UART that is standard input: "<millis> <hex of what comes, or ->" a line, as
// `arduino/board.cpp`. Prints what it would publish then: "<hr> <state> <rr> <state> <heard> <hex sent or ->".
#include "mmrphys_reader.h"

#include <cstdio>
#include <iostream>
#include <string>

struct Uart {
  std::string in, out;
  int available() const { return (int)in.size(); }
  bool read_byte(uint8_t *byte) {
    *byte = (uint8_t)in[0];
    in.erase(0, 1);
    return true;
  }
  void write_array(const uint8_t *data, size_t size) { out.append((const char *)data, size); }
};

int main() {
  Uart uart;
  uint32_t now;
  std::string hex;
  while (std::cin >> now >> hex) {
    for (size_t i = 0; hex != "-" && i + 1 < hex.size(); i += 2) {
      uart.in += (char)std::stoi(hex.substr(i, 2), nullptr, 16);
    }
    MmrphysReader &reader = mmrphys_reader();
    reader.poll(&uart, now);
    printf("%.1f %s ", (double)reader.hr(now), reader.hr_state(now));
    printf("%.1f %s %d ", (double)reader.rr(now), reader.rr_state(now), reader.heard(now));
    for (const char sign : uart.out) printf("%02x", (unsigned)(uint8_t)sign);
    printf("%s\n", uart.out.empty() ? "-" : "");
    uart.out.clear();
  }
  return 0;
}
