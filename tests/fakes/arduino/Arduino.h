// As much of Arduino as the examples use: one port, one clock, pins. `board.cpp` drives it from standard input.
#pragma once
#include <stddef.h>
#include <stdint.h>
#include <string>

#define HIGH 1
#define LOW 0
#define OUTPUT 1

class FakeSerial {
 public:
  void begin(unsigned long) {}
  int available() const { return (int)in.size(); }
  int read() {
    const int byte = (uint8_t)in[0];
    in.erase(0, 1);
    return byte;
  }
  size_t write(const uint8_t *data, size_t size) {
    out.append((const char *)data, size);
    return size;
  }
  void print(const char *text) { out += text; }
  void print(int value) { out += std::to_string(value); }
  void println() { out += "\n"; }
  std::string in, out;
};

extern FakeSerial Serial;
uint32_t millis();
void pinMode(uint8_t pin, uint8_t mode);
void digitalWrite(uint8_t pin, uint8_t value);
void setup();
void loop();
