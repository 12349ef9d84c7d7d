// One JSON line per handled request. Formatted on the loop into a bounded buffer; written by one thread, so that a full
// disk or a stopped reader never stalls a loop: what does not fit is dropped and counted.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>

#include "rota/base/nowait_writer.h"
#include "rota/base/unique_fd.h"
#include "rota/base/units.h"

namespace rota::proxy {

struct AccessRecord {
  std::int64_t time_ms = 0;  // wall clock at the request's start, Unix epoch
  std::string_view client;   // numeric address, "unix" for a Unix peer
  std::string_view request_id;
  std::string_view method;
  std::string_view host;
  std::string_view target;
  int status = 0;                    // sent to the client; 0: none
  std::uint64_t bytes_sent = 0;      // of the response body
  std::uint64_t bytes_received = 0;  // of the request body
  std::string_view app;              // empty: none
  std::int64_t slot = -1;            // -1: none
  std::string_view upstream;         // address; empty: none
  double total_ms = 0;
  double queue_ms = 0;  // waiting for an upstream
  double connect_ms = 0;
  double first_byte_ms = -1;  // from the request's start; -1: none came
  std::uint32_t retries = 0;
  std::string_view outcome;
  std::string_view reason;  // of a request refused before it had an app
  std::string_view user_agent;
  std::string_view referer;
};
void append_access_line(std::string& out, const AccessRecord& record);

// The writing thread. Lines are handed over in batches by any loop.
class LogWriter {
 public:
  static constexpr std::size_t kPendingMax = 4 * 1024 * 1024;
  static constexpr Duration kLastPatience{1000};

  LogWriter();
  ~LogWriter();  // writes what is pending; a pipe that takes nothing for kLastPatience gets no more
  LogWriter(const LogWriter&) = delete;
  LogWriter& operator=(const LogWriter&) = delete;

  void use(UniqueFd fd);               // replaces the file; empty: off
  void hand_over(std::string& lines);  // takes whole lines and leaves `lines` empty; any thread
  std::uint64_t dropped_lines();

 private:
  void work();
  // False: there was no room before the end. Used by the thread alone, as is what stands below.
  bool wait_for_room();

  std::mutex mutex_;
  std::condition_variable wake_;
  std::string pending_;
  UniqueFd next_fd_;
  bool next_fd_set_ = false;
  std::uint64_t dropped_lines_ = 0;
  std::atomic<bool> stopping_{false};
  UniqueFd fd_;
  NowaitWriter writer_{-1};
  bool torn_ = false;   // the file ends in half a line
  std::thread thread_;  // last: it uses the members above
};

}  // namespace rota::proxy
