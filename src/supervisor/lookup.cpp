#include "rota/supervisor/lookup.h"

#include <fmt/format.h>
#include <netdb.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <mutex>

#include "rota/supervisor/lifecycle.h"
#include "rota/sys/thread.h"

namespace rota::supervisor {

Resolved look_up(const std::string& host) {
  Resolved resolved;
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (int error = ::getaddrinfo(host.c_str(), nullptr, &hints, &found); error != 0) {
    resolved.error = ::gai_strerror(error);
    return resolved;
  }
  std::unique_ptr<addrinfo, void (*)(addrinfo*)> list(found, ::freeaddrinfo);
  for (addrinfo* at = found; at != nullptr; at = at->ai_next) {
    std::array<char, NI_MAXHOST> text{};
    if (::getnameinfo(at->ai_addr, at->ai_addrlen, text.data(), text.size(), nullptr, 0, NI_NUMERICHOST) != 0) continue;
    std::string numeric = text.data();
    if (std::find(resolved.hosts.begin(), resolved.hosts.end(), numeric) == resolved.hosts.end()) {
      resolved.hosts.push_back(std::move(numeric));
    }
  }
  if (resolved.hosts.empty()) resolved.error = "no address";
  return resolved;
}

// Outlives the lookup when its thread hangs.
struct Lookup::Shared {
  std::mutex mutex;
  uv::Wakeup* wakeup = nullptr;  // null: nobody waits any more
  ResolvedNames names;
};

Lookup::Lookup(uv::Loop& loop, std::set<std::string> hosts, Duration patience, LookupListener& listener, Ask ask)
    : patience_(patience),
      listener_(listener),
      wakeup_(loop, *this),
      timer_(loop, *this),
      shared_(std::make_shared<Shared>()) {
  shared_->wakeup = &wakeup_;
  for (const std::string& host : hosts) shared_->names[host].error = "";
  timer_.start(patience);
  bool asked = sys::start_detached([shared = shared_, hosts = std::move(hosts), ask] {
    for (const std::string& host : hosts) {
      Resolved answer = ask(host);
      std::lock_guard lock(shared->mutex);
      if (shared->wakeup == nullptr) return;
      shared->names[host] = std::move(answer);
    }
    std::lock_guard lock(shared->mutex);
    if (shared->wakeup != nullptr) shared->wakeup->wake();
  });
  if (asked) return;
  for (auto& [host, resolved] : shared_->names) resolved.error = "the system gives no thread that could ask for it";
  wakeup_.wake();
}

Lookup::~Lookup() {
  std::lock_guard lock(shared_->mutex);
  shared_->wakeup = nullptr;
}

void Lookup::finish(bool late) {
  if (told_) return;
  told_ = true;
  timer_.stop();
  ResolvedNames names;
  {
    std::lock_guard lock(shared_->mutex);
    if (late) shared_->wakeup = nullptr;
    names = shared_->names;
  }
  for (auto& [host, resolved] : names) {
    if (resolved.hosts.empty() && resolved.error.empty()) {
      resolved.error = fmt::format("no answer from the name service within {}", describe_duration(patience_));
    }
  }
  listener_.on_looked_up(names);
}

}  // namespace rota::supervisor
