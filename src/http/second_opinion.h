// llhttp's reading of a head that our own scanner has accepted. A fault in either of two independent parsers then shows
// as a refused message, and not as a smuggled one. llhttp is hidden here and decides nothing alone.
#pragma once

#include <array>
#include <string_view>

#include "rota/http/message.h"

namespace rota::http {

// A stretch of the head that llhttp 9.2 cannot read though it is valid, and what it is shown instead.
struct Patch {
  std::string_view place;  // a piece of the head
  std::string_view instead;
};

// In the order of their places. A message that needs more than a few is refused: nobody honest sends one.
class Patches {
 public:
  // False: no room left.
  bool add(std::string_view place, std::string_view instead) {
    if (count_ == patches_.size()) return false;
    patches_[count_++] = {place, instead};
    return true;
  }
  const Patch* begin() const { return patches_.data(); }
  const Patch* end() const { return patches_.data() + count_; }

 private:
  std::array<Patch, 8> patches_{};
  std::size_t count_ = 0;
};

struct RequestReading {
  Method method = Method::other;  // other: llhttp has been shown GET instead
  int version_minor = 1;
  Framing framing;
};
struct ResponseReading {
  int status = 0;
  int version_minor = 1;
  bool chunked = false;
  bool has_content_length = false;
  std::uint64_t content_length = 0;
};

// `head` is exactly one complete head. True when llhttp, unforgiving, ends it at the same octet and reads the same.
bool second_opinion_agrees(std::string_view head, const Patches& patches, const RequestReading& ours);
bool second_opinion_agrees(std::string_view head, const Patches& patches, const ResponseReading& ours);

}  // namespace rota::http
