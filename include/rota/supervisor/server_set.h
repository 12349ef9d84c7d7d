// The servers of one app: which addresses its configuration and the name service say, each an upstream of its own.
// What is no longer among them is drained, then dropped; what stays is not touched.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "rota/supervisor/app_policy.h"
#include "rota/supervisor/followed_name.h"
#include "rota/supervisor/saved_state.h"
#include "rota/supervisor/server.h"

namespace rota::supervisor {

class ServerSetListener {
 public:
  virtual void on_servers_changed(bool publish_again) = 0;

 protected:
  ~ServerSetListener() = default;
};

class ServerSet final : ServerListener, NameListener {
 public:
  // earlier: what an earlier supervisor left of this app, or null.
  ServerSet(const Surface& surface, std::string app, const SavedApp* earlier, ServerSetListener& listener);

  // The servers of this configuration from now on. Before start(): nothing is looked up yet.
  void configure(std::shared_ptr<const config::App> config);
  void start();
  void tidy();    // forgets what is gone; once per loop turn, at top level
  void recall();  // all fail their checks together: those that answer take part again

  Server* find(std::uint64_t id);
  // A proxy could not connect.
  void on_connect_failed(Server& server, int error);

  Lives lives() const;  // without those that leave
  std::size_t size() const { return lives().size(); }
  std::size_t ready_count() const { return count_ready(lives()); }
  bool empty() const { return servers_.empty(); }
  bool all_asked() const;  // every name has been answered for, or was found to have no address
  bool hopeless() const;   // there is none, and every name has failed kBootAttempts times
  std::vector<std::string> unresolved() const;
  void add_to(std::vector<ipc::UpstreamState>& upstreams) const;
  void save(SavedApp& saved) const;

 private:
  struct Target {
    config::Address address;  // numeric
    std::string label;
  };
  std::vector<Target> targets() const;
  void follow_names();
  void update();
  std::uint32_t free_number() const;
  void on_server_changed(Server& server, bool publish_again) override;
  bool may_eject(const Server& server) override;
  void on_name(FollowedName& name) override;

  const Surface& surface_;
  std::string app_;
  ServerSetListener& listener_;
  std::shared_ptr<const config::App> config_;
  std::vector<SavedServer> known_ids_;      // of an earlier supervisor
  std::vector<SavedName> known_addresses_;  // of an earlier supervisor
  bool started_ = false;
  std::vector<std::unique_ptr<Server>> servers_;
  std::vector<std::unique_ptr<FollowedName>> names_;
};

}  // namespace rota::supervisor
