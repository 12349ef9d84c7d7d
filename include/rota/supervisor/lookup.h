// Names to addresses without the loop ever waiting: getaddrinfo(3) blocks for as long as the resolver likes, and a
// supervisor that is silent for so long is killed. A thread asks; whoever wants the answer hears of it on the loop, or
// hears that none came in time.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "rota/uv/handles.h"
#include "rota/uv/loop.h"

namespace rota::supervisor {

inline constexpr Duration kLookupPatience{8s};  // for all names together

struct Resolved {
  std::vector<std::string> hosts;  // numeric, in the resolver's order
  std::string error;               // why there is none, one clause
};
using ResolvedNames = std::map<std::string, Resolved>;

// Blocks. Numeric addresses need no resolver.
Resolved look_up(const std::string& host);

class LookupListener {
 public:
  virtual void on_looked_up(const ResolvedNames& names) = 0;

 protected:
  ~LookupListener() = default;
};

// Not on libuv's thread pool: a lookup that hangs cannot be cancelled, and libuv waits for its pool at the end of the
// process. The thread here is left behind and owns what it works on.
class Lookup final : uv::WakeupListener, uv::TimerListener {
 public:
  using Ask = Resolved (*)(const std::string& host);

  Lookup(uv::Loop& loop, std::set<std::string> hosts, Duration patience, LookupListener& listener, Ask ask = look_up);
  ~Lookup();
  Lookup(const Lookup&) = delete;
  Lookup& operator=(const Lookup&) = delete;

 private:
  struct Shared;
  void on_wakeup(uv::Wakeup&) override { finish(false); }
  void on_timer(uv::Timer&) override { finish(true); }
  void finish(bool late);

  Duration patience_;
  LookupListener& listener_;
  bool told_ = false;
  uv::Wakeup wakeup_;
  uv::Timer timer_;
  std::shared_ptr<Shared> shared_;
};

}  // namespace rota::supervisor
