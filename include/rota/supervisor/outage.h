// All workers of an app fail their checks together: what they all need is probably down. Nobody is killed for that, so
// it has to be said loudly. Pure, like app_policy.h; for servers, too.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "rota/supervisor/app_policy.h"

namespace rota::supervisor {

inline constexpr Duration kOutageNoteEvery{60s};

struct OutageView {
  Lives lives;
  const char* unit = "workers";  // or "servers"
  bool replaceable = true;       // they are workers, and repair_after is not 0
  std::uint32_t unhealthy_after = 3;
};

class Outage {
 public:
  // The notes begin where a name would stand: "web: none of its 4 workers passes its checks: ...".
  struct Orders {
    std::optional<Note> note;
    bool recall = false;  // those that answer are to take part again, wherever they are
    std::optional<TimePoint> look_at;
  };
  Orders step(const OutageView& view, TimePoint now);
  bool on() const { return since_.has_value(); }

 private:
  std::optional<TimePoint> since_;
  TimePoint next_note_{};
};

// serving: one passes its checks. outage: there is at least one to check, and each has failed unhealthy_after times in
// a row. undecided: neither, and what was so far goes on.
enum class Together : std::uint8_t { serving, undecided, outage };
Together judge_together(const Lives& lives, std::uint32_t unhealthy_after);

}  // namespace rota::supervisor
