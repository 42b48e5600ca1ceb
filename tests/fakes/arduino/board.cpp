// Runs a sketch: each line of standard input is "<millis> <hex of what arrives, or ->"; after each, one line tells
// "<pin 7> <hex of what the sketch sent, or ->".
#include "Arduino.h"

#include <cstdio>
#include <iostream>

FakeSerial Serial;
static uint32_t now_ms = 0;
static int pin7 = -1;

uint32_t millis() { return now_ms; }
void pinMode(uint8_t, uint8_t) {}
void digitalWrite(uint8_t pin, uint8_t value) {
  if (pin == 7) pin7 = value;
}

int main() {
  setup();
  std::string hex;
  while (std::cin >> now_ms >> hex) {
    for (size_t i = 0; hex != "-" && i + 1 < hex.size(); i += 2) {
      Serial.in += (char)std::stoi(hex.substr(i, 2), nullptr, 16);
    }
    loop();
    printf("%d ", pin7);
    for (const char sign : Serial.out) printf("%02x", (unsigned)(uint8_t)sign);
    printf("%s\n", Serial.out.empty() ? "-" : "");
    Serial.out.clear();
  }
  return 0;
}
