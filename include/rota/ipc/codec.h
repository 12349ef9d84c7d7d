// Bytes on rota's own channels: little-endian integers, length-prefixed strings and lists, in the order a struct's
// fields() names them. Strict: a decoder accepts exactly what the encoder writes, and nothing after it.
// Not for data from outside rota, yet written as if it were: every count is checked against the bytes that are left.
#pragma once

#include <bit>
#include <chrono>
#include <concepts>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "rota/base/units.h"

namespace rota::ipc {

// A struct takes part by   template <class A, class S> static void fields(A& a, S& s) { a(s.id); a(s.name); }
// where S is the struct, const when encoding.
class Encoder {
 public:
  explicit Encoder(std::string& out) : out_(out) {}  // appends; reserve `out` once to encode without allocation

  template <class T>
  void operator()(const T& value) {
    if constexpr (std::is_enum_v<T>) {
      (*this)(static_cast<std::underlying_type_t<T>>(value));
    } else if constexpr (std::same_as<T, bool>) {
      (*this)(static_cast<std::uint8_t>(value));
    } else if constexpr (std::integral<T>) {
      auto bits = static_cast<std::make_unsigned_t<T>>(value);
      for (std::size_t i = 0; i < sizeof(T); i++) out_.push_back(static_cast<char>((bits >> (8 * i)) & 0xFFU));
    } else if constexpr (std::same_as<T, Duration>) {
      (*this)(static_cast<std::int64_t>(value.count()));
    } else if constexpr (std::same_as<T, Bytes>) {
      (*this)(value.count);
    } else if constexpr (std::convertible_to<const T&, std::string_view>) {
      std::string_view text = value;
      (*this)(static_cast<std::uint32_t>(text.size()));
      out_.append(text);
    } else {
      T::fields(*this, value);
    }
  }
  template <class T>
  void operator()(const std::vector<T>& list) {
    (*this)(static_cast<std::uint32_t>(list.size()));
    for (const T& item : list) (*this)(item);
  }

 private:
  std::string& out_;
};

class Decoder {
 public:
  explicit Decoder(std::string_view in) : in_(in) {}

  // So far everything was there.
  bool ok() const { return ok_; }
  // After the last field: everything was there and nothing is left over.
  bool complete() const { return ok_ && in_.empty(); }

  template <class T>
  void operator()(T& value) {
    if constexpr (std::is_enum_v<T>) {
      std::underlying_type_t<T> raw{};
      (*this)(raw);
      // Enums on the wire end with `count_`, their number of values.
      if (raw >= static_cast<std::underlying_type_t<T>>(T::count_)) ok_ = false;
      if (ok_) value = static_cast<T>(raw);
    } else if constexpr (std::same_as<T, bool>) {
      std::uint8_t raw = 0;
      (*this)(raw);
      if (raw > 1) ok_ = false;
      value = raw == 1;
    } else if constexpr (std::integral<T>) {
      std::make_unsigned_t<T> bits = 0;
      std::string_view raw = take(sizeof(T));
      for (std::size_t i = 0; i < raw.size(); i++) {
        bits = static_cast<std::make_unsigned_t<T>>(
            bits | static_cast<std::make_unsigned_t<T>>(
                       static_cast<std::make_unsigned_t<T>>(static_cast<unsigned char>(raw[i])) << (8 * i)));
      }
      value = static_cast<T>(bits);
    } else if constexpr (std::same_as<T, Duration>) {
      std::int64_t count = 0;
      (*this)(count);
      value = Duration(count);
    } else if constexpr (std::same_as<T, Bytes>) {
      (*this)(value.count);
    } else if constexpr (std::same_as<T, std::string_view>) {
      value = text();  // a view into the decoded bytes
    } else if constexpr (std::same_as<T, std::string>) {
      value = std::string(text());
    } else {
      T::fields(*this, value);
    }
  }
  template <class T>
  void operator()(std::vector<T>& list) {
    std::uint32_t count = 0;
    (*this)(count);
    // Every element takes at least one byte, so a forged count cannot make this allocate more than the message holds.
    if (count > in_.size()) ok_ = false;
    list.clear();
    for (std::uint32_t i = 0; ok_ && i < count; i++) {
      list.emplace_back();
      (*this)(list.back());
    }
  }

 private:
  std::string_view take(std::size_t n) {
    if (!ok_ || in_.size() < n) {
      ok_ = false;
      return {};
    }
    std::string_view taken = in_.substr(0, n);
    in_.remove_prefix(n);
    return taken;
  }
  std::string_view text() {
    std::uint32_t n = 0;
    (*this)(n);
    return take(n);
  }

  std::string_view in_;
  bool ok_ = true;
};

// A message is its type's number (u16) and its fields.
template <class M>
void encode_message(std::string& out, const M& message) {
  out.clear();
  Encoder encoder(out);
  encoder(static_cast<std::uint16_t>(M::kType));
  encoder(message);
}
// The type of an encoded message, or 0xFFFF.
inline std::uint16_t message_type(std::string_view bytes) {
  if (bytes.size() < 2) return 0xFFFF;
  return static_cast<std::uint16_t>(static_cast<unsigned char>(bytes[0]) |
                                    (static_cast<unsigned char>(bytes[1]) << 8U));
}
// False when the bytes are not exactly such a message. Views in it point into `bytes`.
template <class M>
bool decode_message(std::string_view bytes, M& message) {
  if (message_type(bytes) != static_cast<std::uint16_t>(M::kType)) return false;
  Decoder decoder(bytes.substr(2));
  decoder(message);
  return decoder.complete();
}

// Bulk, passed in a sealed memfd: a struct without a type number.
template <class T>
std::string encode_bulk(const T& value) {
  std::string out;
  Encoder encoder(out);
  encoder(value);
  return out;
}
template <class T>
bool decode_bulk(std::string_view bytes, T& value) {
  Decoder decoder(bytes);
  decoder(value);
  return decoder.complete();
}

}  // namespace rota::ipc
