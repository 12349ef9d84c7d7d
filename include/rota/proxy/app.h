// An app as one loop sees it: the round of its ready upstreams and the exchanges that wait for one (the hold queue).
// Knows nothing of HTTP. A LoopContext outlives its Apps, an App outlives the exchanges that use it.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "rota/base/intrusive_list.h"
#include "rota/proxy/upstream.h"

namespace rota::proxy {

// An exchange that waits for an upstream.
class Held : public ListLink {
 public:
  // Try again now; false: still none, keep the place at the head of the queue.
  virtual bool try_upstream() = 0;
  // No upstream will come any more.
  virtual void give_up() = 0;

 protected:
  ~Held() = default;
};

class App {
 public:
  explicit App(LoopContext& context) : context_(context) {}

  // Takes over the difference to a newer state, then lets held exchanges try.
  void apply(const ipc::AppState& state);
  // Gone from the state.
  void forget();
  bool forgotten() const { return forgotten_; }
  bool finished() const { return forgotten_ && exchanges_ == 0 && upstreams_.empty() && held_.empty(); }
  // Between these two an exchange knows the app, whether it has an upstream, is held, or waits for something else.
  void exchange_begins() { exchanges_++; }
  void exchange_ended() { exchanges_--; }

  const std::string& name() const { return settings_.name; }
  const ipc::AppState& settings() const { return settings_; }

  // The next upstream of the round that gives a connection. busy: at least one said its backlog is full.
  // avoid: taken only when there is no other (an upstream that has just failed this exchange).
  struct Picked {
    std::unique_ptr<UpstreamConnection> connection;
    bool busy = false;
  };
  // never: not even then.
  Picked pick(uv::StreamListener& user, std::uint64_t avoid_upstream, bool never);
  // Somebody else than this upstream may take a request now.
  bool has_other(std::uint64_t than) const;
  // This upstream is in the round, and somebody listens at its address.
  bool is_listening(std::uint64_t upstream) const;

  // False: the queue is full.
  bool hold(Held& waiting);
  void stop_holding(Held& waiting);
  void release_held();  // called when an upstream may take one: a new phase, a finished exchange, each tick
  // While the daemon ends: with no ready upstream none will come, and who waits is told so.
  void give_up_if_hopeless();
  bool has_ready() const { return !round_.empty(); }
  bool has_held() const { return held_count_ > 0; }
  // After an exchange has let go of an upstream: forgets finished ones, releases held exchanges.
  void upstream_freed();

 private:
  void rebuild_round();

  LoopContext& context_;
  ipc::AppState settings_;                            // without its upstreams
  std::vector<std::unique_ptr<Upstream>> upstreams_;  // by slot, then id; forgotten ones until nothing is in flight
  std::vector<Upstream*> round_;                      // the ready ones, by slot
  std::size_t next_ = 0;                              // into round_
  IntrusiveList<Held> held_;
  std::size_t held_count_ = 0;
  std::size_t exchanges_ = 0;
  bool releasing_ = false;
  bool forgotten_ = false;
};

}  // namespace rota::proxy
