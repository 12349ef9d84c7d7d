#include "rota/supervisor/keeper_link.h"

#include <poll.h>

#include <algorithm>
#include <array>
#include <utility>

#include "rota/base/check.h"
#include "rota/base/log.h"

namespace rota::supervisor {

namespace {

// Messages handled before other handles of the loop get their turn.
constexpr int kMessagesPerTurn = 256;
// What is left when every message that a supervisor is sent has been tried.
constexpr bool kSentToSupervisors = false;

template <class M>
M decode(const ipc::Packet& packet) {
  M message;
  ROTA_CHECK(ipc::decode_message(packet.bytes, message));
  return message;
}

Fds take_fds(ipc::Packet& packet) {
  Fds fds;
  for (std::size_t i = 0; i < packet.fd_count; i++) fds.push_back(std::move(packet.fds[i]));
  return fds;
}

UniqueFd bulk_of(std::string_view name, std::string_view bytes) {
  auto bulk = ipc::make_bulk(name, bytes);
  // Out of memory or descriptors: the next supervisor may have more luck, and nothing is lost by waiting for it.
  if (!bulk) log::error("{}", bulk.error().text());
  ROTA_CHECK(bulk);
  return std::move(*bulk);
}

}  // namespace

KeeperLink::KeeperLink(uv::Loop& loop, UniqueFd channel, KeeperListener& listener)
    : channel_(std::move(channel)), listener_(listener), watcher_(loop, channel_.fd(), *this) {
  watcher_.start();
}

template <class M>
void KeeperLink::send(const M& message, std::span<const int> fds) {
  for (;;) {
    Result<void> sent = channel_.send(message, fds);
    if (sent || sent.error().code == Errc::closed) return;  // gone: on_readable tells it
    if (sent.error().code != Errc::would_block) log::error("{}", sent.error().text());
    ROTA_CHECK(sent.error().code == Errc::would_block);
    // The keeper never waits for us, so this cannot be a deadlock.
    pollfd poll_fd{channel_.fd(), POLLOUT, 0};
    ROTA_CHECK(::poll(&poll_fd, 1, static_cast<int>(kSendPatience.count())) != 0);
  }
}

void KeeperLink::hello() { send(ipc::Hello{}); }
void KeeperLink::list() { send(ipc::List{}); }
void KeeperLink::spawn(std::uint64_t id, const ipc::SpawnSpec& spec) {
  UniqueFd bulk = bulk_of("rota-spawn", ipc::encode_bulk(spec));
  std::array<int, 1> fds = {bulk.get()};
  send(ipc::Spawn{id}, fds);
}
void KeeperLink::signal(std::uint64_t id, int number, bool group) { send(ipc::Signal{id, number, group}); }
void KeeperLink::acknowledge_exit(std::uint64_t id) { acknowledged_.push_back(id); }
void KeeperLink::send_acknowledgements() {
  for (std::uint64_t id : std::exchange(acknowledged_, {})) send(ipc::AcknowledgeExit{id});
}
void KeeperLink::bind(const ipc::Bind& bind) { send(bind); }
void KeeperLink::shelve(std::string_view name, bool for_proxy, int fd) {
  std::array<int, 1> fds = {fd};
  send(ipc::Shelve{name, for_proxy}, fds);
}
void KeeperLink::unshelve(std::string_view name) { send(ipc::Unshelve{name}); }
void KeeperLink::save_state(std::string_view bytes) {
  UniqueFd bulk = bulk_of("rota-state", bytes);
  std::array<int, 1> fds = {bulk.get()};
  send(ipc::SaveState{}, fds);
}
void KeeperLink::proxy_recipe(const ipc::SpawnSpec& spec) {
  UniqueFd bulk = bulk_of("rota-recipe", ipc::encode_bulk(spec));
  std::array<int, 1> fds = {bulk.get()};
  send(ipc::ProxyRecipe{}, fds);
}
void KeeperLink::save_proxy_state(int bulk) {
  std::array<int, 1> fds = {bulk};
  send(ipc::ProxyStateSaved{}, fds);
}
void KeeperLink::kill_proxy(std::uint64_t epoch) { send(ipc::KillProxy{epoch}); }
void KeeperLink::log_settings(log::Level level, log::Format format) {
  send(ipc::LogSettings{static_cast<std::uint8_t>(level), static_cast<std::uint8_t>(format)});
}
// A line for people, whatever its length: the end of it is not worth a message that does not fit.
void KeeperLink::notify(std::string_view text) {
  std::size_t end = std::min(text.size(), kNotifyMax);
  while (end < text.size() && end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0U) == 0x80U) end--;  // UTF-8
  send(ipc::Notify{text.substr(0, end)});
}
void KeeperLink::shut_down(ExitCode code) { send(ipc::ShutDown{static_cast<std::int32_t>(code)}); }

void KeeperLink::on_readable(uv::FdWatcher&) {
  for (int i = 0; i < kMessagesPerTurn; i++) {
    auto packet = channel_.receive();
    if (!packet && packet.error().code == Errc::closed) {
      watcher_.stop();
      listener_.on_keeper_gone();
      return;
    }
    if (!packet) log::error("{}", packet.error().text());
    ROTA_CHECK(packet);
    if (!*packet) return;
    dispatch(**packet);
  }
}

void KeeperLink::dispatch(ipc::Packet& packet) {
  using enum ipc::KeeperMessage;
  switch (static_cast<ipc::KeeperMessage>(packet.type())) {
    case hello: {
      auto message = decode<ipc::Hello>(packet);
      ROTA_CHECK(message.version == ipc::kProtocolVersion);
      return listener_.on_hello(message);
    }
    case ping: return send(ipc::Pong{decode<ipc::Ping>(packet).number});
    case spawned: return listener_.on_spawned(decode<ipc::Spawned>(packet), take_fds(packet));
    case exec_failed: return listener_.on_exec_failed(decode<ipc::ExecFailed>(packet));
    case exited: return listener_.on_exited(decode<ipc::Exited>(packet));
    case bound: return listener_.on_bound(decode<ipc::Bound>(packet));
    case listed: return listener_.on_listed(decode<ipc::Listed>(packet), take_fds(packet));
    case shelved: return listener_.on_shelved(decode<ipc::Shelved>(packet), take_fds(packet));
    case saved_state: {
      ROTA_CHECK(packet.fd_count == 1);
      auto bytes = ipc::read_bulk(packet.fds[0].get());
      ROTA_CHECK(bytes);
      return listener_.on_saved_state(std::move(*bytes));
    }
    case list_end: return listener_.on_list_end();
    case signalled: return listener_.on_signalled(decode<ipc::Signalled>(packet));
    case proxy_started: {
      ROTA_CHECK(packet.fd_count == 1);
      return listener_.on_proxy_started(decode<ipc::ProxyStarted>(packet), std::move(packet.fds[0]));
    }
    case proxy_exited: return listener_.on_proxy_exited(decode<ipc::ProxyExited>(packet));
    default: ROTA_CHECK(kSentToSupervisors);
  }
}

}  // namespace rota::supervisor
