// Supervisor and proxy together: their starts and restarts, what each is given at its start, the pair between them, and
// the question whether the supervisor is still there. Does not know what the supervisor asks for.
#pragma once

#include <functional>
#include <optional>

#include "rota/keeper/launch.h"
#include "rota/keeper/role.h"
#include "rota/keeper/shelf.h"

namespace rota::keeper {

class Roles {
 public:
  // supervisor_spec: a sealed memfd. supervisor_started is called at each start, after the greeting.
  Roles(Launcher& launcher, const Shelf& shelf, UniqueFd supervisor_spec, std::function<void()> supervisor_started);
  Roles(const Roles&) = delete;
  Roles& operator=(const Roles&) = delete;

  Role& supervisor() { return supervisor_; }
  Role& proxy() { return proxy_; }
  bool owns(pid_t pid) const { return pid == supervisor_.pid() || pid == proxy_.pid(); }

  // From the supervisor.
  void set_recipe(UniqueFd recipe, TimePoint now);
  void set_proxy_state(UniqueFd state) { proxy_state_ = std::move(state); }
  void pong(std::uint64_t number, TimePoint now);
  void kill_proxy(std::uint64_t epoch);
  // Has a supervisor ever got so far as to want a proxy?
  bool recipe_known() const { return static_cast<bool>(recipe_); }

  // Tells the proxy of a shelf entry.
  void give_to_proxy(const ShelfEntry& entry);

  // Since when there has been no supervisor to rely on; empty while one gives signs of life. One that dies soon after
  // its start has interrupted nothing.
  std::optional<TimePoint> absent_since() const { return answers_since_ ? std::nullopt : absent_since_; }

  // What has ended, when it is known from poll(2) that something may have.
  std::optional<Role::Ended> reap_supervisor(TimePoint now);
  std::optional<Role::Ended> reap_proxy(TimePoint now);

  // Starts what is due, asks the supervisor for a sign of life, kills what is overdue.
  TimePoint tick(TimePoint now, TimePoint next);
  // No more starts: each gets TERM (the supervisor only when `hurry`) and KILL when it takes longer than `grace`.
  void end(TimePoint now, Duration grace, bool hurry);

 private:
  void start_supervisor(TimePoint now);
  void start_proxy(TimePoint now);
  void connect();
  TimePoint ping(TimePoint now, TimePoint next);

  Launcher& launcher_;
  const Shelf& shelf_;
  UniqueFd supervisor_spec_;
  std::function<void()> supervisor_started_;
  Role supervisor_;
  Role proxy_;
  UniqueFd recipe_;
  UniqueFd proxy_state_;
  bool connect_again_ = false;
  bool ending_ = false;

  // the supervisor's signs of life
  std::uint64_t ping_number_ = 0;  // of the last ping
  std::uint64_t answered_ = 0;     // the last pong
  TimePoint ping_at_{};
  TimePoint asked_at_{};                    // when the oldest unanswered ping was sent
  std::optional<TimePoint> answers_since_;  // the one that lives
  std::optional<TimePoint> absent_since_;   // cleared by one that has answered for kReliableAfter
};

}  // namespace rota::keeper
