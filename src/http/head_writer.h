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
    ROTA_CHECK(copy(room(text.size()), text) == 0);
    at_ += text.size();
  }
  void field(std::string_view name, std::string_view value) {
    char* const to = room(name.size() + value.size() + 4);
    std::uint64_t odd = copy(to, name);
    std::memcpy(to + name.size(), ": ", 2);
    odd |= copy(to + name.size() + 2, value);
    std::memcpy(to + name.size() + 2 + value.size(), "\r\n", 2);
    ROTA_CHECK(odd == 0);
    at_ += name.size() + value.size() + 4;
  }
  void number(std::uint64_t value) {
    std::array<char, 20> digits;
    const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), value);
    literal({digits.data(), static_cast<std::size_t>(end.ptr - digits.data())});
  }

 private:
  static constexpr std::size_t kFirstRoom = 1024;

  static std::uint64_t odd_in(std::uint64_t eight) {
    return word::equal(eight, '\r') | word::equal(eight, '\n') | word::equal(eight, 0);
  }
  // Copies and looks in the same pass; the last words overlap rather than go octet by octet. Not 0: something odd is
  // there.
  static std::uint64_t copy(char* to, std::string_view text) {
    const char* const from = text.data();
    const std::size_t size = text.size();
    std::uint64_t odd = 0;
    if (size >= 8) {
      for (std::size_t i = 0; i + 8 <= size; i += 8) odd |= copy_word(to + i, from + i);
      return odd | copy_word(to + size - 8, from + size - 8);
    }
    for (std::size_t i = 0; i < size; ++i) {
      odd |= static_cast<std::uint64_t>(from[i] == '\r' || from[i] == '\n' || from[i] == 0);
      to[i] = from[i];
    }
    return odd;
  }
  static std::uint64_t copy_word(char* to, const char* from) {
    const std::uint64_t eight = word::load(from);
    std::memcpy(to, &eight, sizeof eight);
    return odd_in(eight);
  }

  void grow(std::size_t more) { out_.resize(out_.size() + more); }
  char* room(std::size_t size) {
    if (out_.size() - at_ < size) grow(size + out_.size() / 2);
    return out_.data() + at_;
  }

  std::string& out_;
  std::size_t at_;  // the end of what is written; behind it is room
};

}  // namespace rota::http
