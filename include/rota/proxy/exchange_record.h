// What an exchange remembers for its line in the access log; without a log there is none.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "rota/proxy/access_log.h"

namespace rota::proxy {

// Good until the callback's end; the record keeps copies.
struct RequestNotes {
  std::string_view client;
  std::string_view request_id;
  std::string_view method;
  std::string_view host;
  std::string_view target;
  std::string_view user_agent;
  std::string_view referer;
};

class ExchangeRecord {
 public:
  void begin();  // forgets everything
  void note(const RequestNotes& notes);
  // An attempt on this upstream begins, for which the search began `searched_ns` ago.
  void attempt(std::string_view upstream, std::int64_t slot, std::int64_t searched_ns);
  void connected();
  void first_byte();  // of the response; only the first call counts
  // Of the bodies.
  std::uint64_t bytes_received = 0;
  std::uint64_t bytes_sent = 0;
  // What is known here; the rest of the record is the caller's.
  void tell(AccessRecord& record) const;
  // Gives back memory beyond what the next request is likely to need.
  void trim();

 private:
  static constexpr std::size_t kKept = 2048;
  static constexpr std::size_t kNotes = 7;

  std::string text_;  // the notes in their order, then the upstream
  std::array<std::uint32_t, kNotes> ends_{};
  std::int64_t slot_ = -1;
  std::int64_t wall_ms_ = 0;
  std::int64_t started_ns_ = 0;
  std::int64_t attempt_ns_ = 0;  // start of the last attempt
  std::int64_t queue_ns_ = 0;    // until it began
  std::int64_t connect_ns_ = 0;
  std::int64_t first_byte_ns_ = -1;  // since the start
};

}  // namespace rota::proxy
