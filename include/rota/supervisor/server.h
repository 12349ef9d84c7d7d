// An already running backend of an app with `servers`: checked and reported to the proxy, never started or stopped. It
// is in rotation from the first moment; without a health path only a proxy that cannot connect takes it out, until a
// connect works.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "rota/supervisor/slot.h"

namespace rota::supervisor {

class Server;
class ServerListener {
 public:
  virtual void on_server_changed(Server& server, bool publish_again) = 0;
  virtual bool may_eject(const Server& server) = 0;

 protected:
  ~ServerListener() = default;
};

class Server final : CheckListener, uv::TimerListener {
 public:
  // target: numeric, where to connect. label: what the operator calls it. id: the same for the same target in every
  // supervisor.
  Server(const Surface& surface, const config::App& app, const config::Address& target, std::string label,
         std::uint64_t id, std::uint32_t number, ServerListener& listener);

  void configure(const config::App& app);
  // It is no longer wanted: drained, then gone() becomes true.
  void leave();
  void stay();  // wanted after all
  bool leaving() const { return stay_ != Stay::in; }
  bool gone() const { return stay_ == Stay::gone; }
  void on_drained();

  void on_recalled();                 // all of the app fail their checks together: if it answers, it takes part again
  void on_connect_failed(int error);  // the proxy, with its own rights; an errno value
  std::uint64_t id() const { return id_; }
  std::uint32_t number() const { return upstream_.slot; }
  const config::Address& target() const { return target_; }
  const Lifecycle& life() const { return life_; }
  ipc::UpstreamState upstream() const;

 private:
  void apply(const Event& event);
  void set_checks();
  void on_check(const CheckResult& result) override;
  void on_odd_health_path(int) override {}
  void on_timer(uv::Timer& timer) override;

  enum class Stay : std::uint8_t { in, leaving, gone };

  const Surface& surface_;
  ServerListener& listener_;
  Policy policy_;
  bool checked_always_;  // it has a health path
  config::Address target_;
  std::uint64_t id_;
  std::string label_;  // "legacy 10.0.0.7:8080"
  ipc::UpstreamState upstream_;
  Lifecycle life_;
  bool proxy_doubts_ = false;
  bool told_denied_ = false;
  Stay stay_ = Stay::in;
  Checker checker_;
  uv::Timer drain_timer_;
};

}  // namespace rota::supervisor
