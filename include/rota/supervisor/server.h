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

class Server final : CheckListener {
 public:
  // host: numeric (empty for a Unix socket). id: the same for the same address in every supervisor.
  Server(const Surface& surface, const config::App& app, const config::Address& address, const std::string& host,
         std::uint64_t id, std::uint32_t number, ServerListener& listener);

  void on_connect_failed(int error);  // the proxy, with its own rights; an errno value
  std::uint64_t id() const { return id_; }
  const Lifecycle& life() const { return life_; }
  ipc::UpstreamState upstream() const;

 private:
  void apply(const Event& event);
  void on_check(const CheckResult& result) override;
  void on_odd_health_path(int) override {}

  const Surface& surface_;
  ServerListener& listener_;
  Policy policy_;
  bool checked_always_;  // it has a health path
  std::uint64_t id_;
  std::string label_;  // "legacy 10.0.0.7:8080"
  ipc::UpstreamState upstream_;
  Lifecycle life_;
  bool proxy_doubts_ = false;
  bool told_denied_ = false;
  Checker checker_;
};

}  // namespace rota::supervisor
