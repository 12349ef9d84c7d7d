// A log file: opened for appending, renamed when it has grown, opened again when somebody else has renamed it. Written
// from one thread, which may wait for the disk (see log_writer.h). Knows bytes and lines; nothing of workers.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "rota/base/result.h"
#include "rota/base/unique_fd.h"
#include "rota/base/units.h"

namespace rota::supervisor {

inline constexpr std::uint32_t kLogMode = 0640;

// For appending, made if it is missing. A symbolic link is followed once, and only one that root or our own user has
// made: who may write to the directory of a log must not choose which file root appends to. For the same reason root
// writes nowhere that others may rename directories (sys::in_other_hands). `path` becomes the link's target.
Result<UniqueFd> open_for_append(std::string& path);

class LogFile {
 public:
  struct Limits {
    Bytes max_size;          // 0: never renamed
    std::uint32_t keep = 0;  // FILE.1 ... FILE.keep; 0: emptied instead
  };
  LogFile(std::string path, Limits limits) : given_path_(std::move(path)), limits_(limits) {}

  // Also again: the file that has this name now. Failing: the one that is open stays so.
  Result<void> open();
  void set_limits(Limits limits) { limits_ = limits; }

  struct Appended {
    std::uint64_t lost_lines = 0;
    Error why;  // of the first loss
  };
  // Whole lines; the last may be a piece whose rest comes with the next call. What the disk does not take is lost to
  // the line: no half of one stays behind. Opens the file when it is not open.
  Appended append(std::string_view bytes);

 private:
  Result<void> write_whole_lines(std::string_view bytes, std::size_t& written);
  void begin_anew();
  bool shift_names() const;
  std::uint64_t size() const;  // 0 for what has none: a pipe, a terminal

  std::string given_path_;
  std::string path_;  // behind a link
  Limits limits_;
  UniqueFd fd_;
  bool mid_line_ = false;  // the last line has no end yet
  bool torn_ = false;      // and will have none: its rest is lost
};

}  // namespace rota::supervisor
