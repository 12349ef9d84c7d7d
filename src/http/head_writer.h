// Builds a head in a string that may be used again and again. One pass: room is asked for piece by piece, never
// computed ahead, so that no sum and its copy can differ. What would end a line or a string early is a mistake of ours
// and aborts.
#pragma once

#include <array>
#include <charconv>
#include <cstring>
#include <string>
#include <string_view>

#include "octets.h"
#include "rota/base/check.h"

namespace rota::http {

class HeadWriter {
 public:
  explicit HeadWriter(std::string& out) : out_(out), at_(out.size()) { grow(kFirstRoom); }
  ~HeadWriter() { out_.resize(at_); }
  HeadWriter(const HeadWriter&) = delete;
  HeadWriter& operator=(const HeadWriter&) = delete;

  // A text of ours, line ends included.
  void literal(std::string_view text) {
    if (text.empty()) return;  // of which memcpy would want a real address
    std::memcpy(room(text.size()), text.data(), text.size());
    at_ += text.size();
  }
  // Octets of a peer: neither CR, LF nor NUL may be among them.
  void octets(std::string_view text) {
    char* const to = room(text.size());
    std::uint64_t odd = 0;
    std::size_t i = 0;
    for (; i + 8 <= text.size(); i += 8) {
      const std::uint64_t eight = word::load(text.data() + i);
      odd |= word::equal(eight, '\r') | word::equal(eight, '\n') | word::equal(eight, 0);
      std::memcpy(to + i, &eight, 8);
    }
    for (; i < text.size(); ++i) {
      odd |= static_cast<std::uint64_t>(text[i] == '\r' || text[i] == '\n' || text[i] == 0);
      to[i] = text[i];
    }
    ROTA_CHECK(odd == 0);
    at_ += text.size();
  }
  void field(std::string_view name, std::string_view value) {
    octets(name);
    literal(": ");
    octets(value);
    literal("\r\n");
  }
  void number(std::uint64_t value) {
    std::array<char, 20> digits;
    const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), value);
    literal({digits.data(), static_cast<std::size_t>(end.ptr - digits.data())});
  }

 private:
  static constexpr std::size_t kFirstRoom = 1024;

  void grow(std::size_t more) { out_.resize(out_.size() + more); }
  char* room(std::size_t size) {
    if (out_.size() - at_ < size) grow(size + out_.size() / 2);
    return out_.data() + at_;
  }

  std::string& out_;
  std::size_t at_;  // the end of what is written; behind it is room
};

}  // namespace rota::http
