#include "rota/proxy/control_link.h"

#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include "rota/base/log.h"

namespace rota::proxy {

namespace {

// Each client connection may need a second descriptor for its worker; some are kept for everything else, the channels
// above all.
std::size_t connections_for(const ipc::ProxyState& state, bool warn) {
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  std::size_t descriptors = limit.rlim_cur == RLIM_INFINITY ? 1048576 : static_cast<std::size_t>(limit.rlim_cur);
  std::size_t reserve = descriptors < 512 ? descriptors / 4 : 128;
  std::size_t possible = (descriptors - reserve) / 2;
  if (state.connections > possible && warn) {
    log::warning(
        "limits.connections {} is more than {} file descriptors allow: {} it is; raise LimitNOFILE or ulimit -n",
        state.connections, descriptors, possible);
  }
  std::size_t wanted = state.connections > 0 ? std::min<std::size_t>(state.connections, possible) : possible;
  return std::max<std::size_t>(1, wanted / state.threads);
}

}  // namespace

ControlLink::ControlLink(uv::Loop& loop, UniqueFd keeper, UniqueFd signals)
    : loop_(loop),
      keeper_(std::move(keeper)),
      signals_(std::move(signals)),
      wakeup_(loop, *this),
      keeper_watcher_(loop, keeper_.fd(), *this),
      signal_watcher_(loop, signals_.get(), *this) {
  keeper_watcher_.start();
  signal_watcher_.start();
}

ControlLink::~ControlLink() {
  for (auto& one : loops_) one->stop();
}

template <class M>
void ControlLink::tell(const M& message) {
  if (!supervisor_) return;
  if (!supervisor_.send(message)) log::debug("a message to the supervisor was dropped");
}

void ControlLink::on_readable(uv::FdWatcher& watcher) {
  if (&watcher == &signal_watcher_) {
    signalfd_siginfo info{};
    while (::read(signals_.get(), &info, sizeof info) > 0) {
    }
    // TERM, from the keeper: everything that should be finished is.
    loop_.stop();
  } else if (&watcher == &keeper_watcher_) {
    read_keeper();
  } else {
    read_supervisor();
  }
}

void ControlLink::read_keeper() {
  while (true) {
    auto packet = keeper_.receive();
    if (!packet) {
      log::error("the keeper is gone: {}", packet.error().text());
      keeper_watcher_.stop();
      return loop_.stop();
    }
    if (!packet->has_value()) return;
    keeper_said(**packet);
  }
}

void ControlLink::read_supervisor() {
  while (supervisor_) {
    auto packet = supervisor_.receive();
    if (!packet) {
      // Half a message is a fault of ours that only a new process and a new pair mend.
      ROTA_CHECK(packet.error().code == Errc::closed);
      // Serving goes on with the last state; the keeper brings a new channel with the next supervisor.
      supervisor_watcher_.reset();
      return supervisor_.close();
    }
    if (!packet->has_value()) return;
    supervisor_said(**packet);
  }
}

void ControlLink::keeper_said(ipc::Packet& packet) {
  switch (static_cast<ipc::KeeperMessage>(packet.type())) {
    case ipc::KeeperMessage::hello: {
      ipc::Hello hello;
      ROTA_CHECK(ipc::decode_message(packet.bytes, hello) && hello.version == ipc::kProtocolVersion);
      epoch_ = hello.epoch;
      ipc::Hello answer;
      answer.epoch = epoch_;
      static_cast<void>(keeper_.send(answer));
      return;
    }
    case ipc::KeeperMessage::proxy_fd: return take_fds(packet);
    case ipc::KeeperMessage::proxy_fd_gone: {
      ipc::ProxyFdGone gone;
      ROTA_CHECK(ipc::decode_message(packet.bytes, gone));
      return forget_fds(gone.name);
    }
    case ipc::KeeperMessage::supervisor_channel: return take_supervisor(packet);
    case ipc::KeeperMessage::initial_state: return take_state(packet, 0);
    default: ROTA_CHECK(false);
  }
}

void ControlLink::supervisor_said(ipc::Packet& packet) {
  switch (static_cast<ipc::ProxyMessage>(packet.type())) {
    case ipc::ProxyMessage::hello: {
      ipc::ProxyHello hello;
      ROTA_CHECK(ipc::decode_message(packet.bytes, hello) && hello.version == ipc::kProtocolVersion);
      return;
    }
    case ipc::ProxyMessage::state: {
      ipc::StateChanged changed;
      ROTA_CHECK(ipc::decode_message(packet.bytes, changed));
      return take_state(packet, changed.version);
    }
    case ipc::ProxyMessage::ping: {
      ipc::ProxyPing ping;
      ROTA_CHECK(ipc::decode_message(packet.bytes, ping));
      return answer_ping(ping.number);
    }
    case ipc::ProxyMessage::worker_died: {
      ipc::WorkerDied died;
      ROTA_CHECK(ipc::decode_message(packet.bytes, died));
      return ask_in_flight(died.upstream);
    }
    default: ROTA_CHECK(false);
  }
}

// --- what the keeper gives
// -------------------------------------------------------------------------------------------------

void ControlLink::take_fds(ipc::Packet& packet) {
  ipc::ProxyFd given;
  ROTA_CHECK(ipc::decode_message(packet.bytes, given) && packet.fd_count > 0);
  ShelfEntry& entry = shelf_[std::string(given.name)];
  entry.listener = given.listener;
  entry.fds.clear();
  for (std::size_t i = 0; i < packet.fd_count; i++) entry.fds.push_back(std::move(packet.fds[i]));
  if (entry.listener) {
    hand_out_listener(std::string(given.name));
  } else {
    use_access_log();
  }
}

void ControlLink::forget_fds(std::string_view name) {
  auto at = shelf_.find(name);
  if (at == shelf_.end()) return;
  ShelfEntry entry = std::move(at->second);
  std::string gone = at->first;
  shelf_.erase(at);
  if (!entry.listener) return;
  // The loops' copies are the last: what came into the backlog until then is accepted before they close.
  entry.fds.clear();
  for (auto& one : loops_) one->command(TakeListeners{gone, {}});
}

// Loop i watches the sockets i mod their number, and every socket has a loop.
void ControlLink::hand_out_listener(const std::string& name) {
  if (loops_.empty()) return;
  const ShelfEntry& entry = shelf_.at(name);
  std::vector<TakeListeners> orders(loops_.size());
  for (std::size_t i = 0; i < std::max(entry.fds.size(), loops_.size()); i++) {
    orders[i % loops_.size()].fds.push_back(entry.fds[i % entry.fds.size()].duplicate());
  }
  for (std::size_t i = 0; i < loops_.size(); i++) {
    orders[i].name = name;
    std::erase_if(orders[i].fds, [](const UniqueFd& fd) { return !fd; });
    loops_[i]->command(std::move(orders[i]));
  }
}

void ControlLink::use_access_log() {
  if (state_ == nullptr || state_->access_log.empty()) return log_writer_.use(UniqueFd());
  auto at = shelf_.find(state_->access_log);
  if (at != shelf_.end()) log_writer_.use(at->second.fds.front().duplicate());
}

void ControlLink::take_supervisor(ipc::Packet& packet) {
  ROTA_CHECK(packet.fd_count == 1);
  supervisor_watcher_.reset();
  supervisor_ = ipc::Channel(std::move(packet.fds[0]));
  supervisor_watcher_ = std::make_unique<uv::FdWatcher>(loop_, supervisor_.fd(), *this);
  supervisor_watcher_->start();
  ipc::ProxyHello hello;
  hello.epoch = epoch_;
  tell(hello);
}

// --- state
// -----------------------------------------------------------------------------------------------------------------

void ControlLink::take_state(ipc::Packet& packet, std::uint64_t version) {
  ROTA_CHECK(packet.fd_count == 1);
  auto bytes = ipc::read_bulk(packet.fds[0].get());
  auto state = std::make_shared<ipc::ProxyState>();
  ROTA_CHECK(bytes && ipc::decode_bulk(*bytes, *state) && (version == 0 || state->version == version));
  if (state_ != nullptr && state->version < state_->version) return;
  bool other_limit = state_ == nullptr || state_->connections != state->connections;
  state_ = std::move(state);
  log::set_threshold(static_cast<log::Level>(std::min<int>(state_->log_level, static_cast<int>(log::Level::error))));
  log::set_format(state_->log_format == 1 ? log::Format::json : log::Format::text);
  if (loops_.empty()) start_loops();
  use_access_log();
  applied_.clear();
  quiet_.clear();
  drained_.clear();
  const ApplyState order(state_, connections_for(*state_, other_limit));
  for (auto& one : loops_) one->command(order);
}

void ControlLink::start_loops() {
  for (std::size_t i = 0; i < state_->threads; i++) {
    loops_.push_back(std::make_unique<DataLoop>(i, log_writer_, gate_, suspects_, *this));
  }
  for (auto& one : loops_) one->start();
  for (auto& [name, entry] : shelf_) {
    if (entry.listener) hand_out_listener(name);
  }
}

// --- what the loops say
// ------------------------------------------------------------------------------------------------------

void ControlLink::post(LoopEvent event) {
  events_.post(std::move(event));
  wakeup_.wake();
}

void ControlLink::on_wakeup(uv::Wakeup&) {
  for (LoopEvent& event : events_.take()) handle(event);
}

void ControlLink::handle(LoopEvent& event) {
  auto from_all = [&](std::set<std::size_t>& said) {
    said.insert(event.loop);
    return said.size() == loops_.size();
  };
  if (const auto* applied = std::get_if<LoopApplied>(&event.what)) {
    if (applied->version != state_->version || !from_all(applied_)) return;
    ipc::Applied message;
    message.version = applied->version;
    tell(message);
  } else if (const auto* failed = std::get_if<LoopConnectFailed>(&event.what)) {
    ipc::ConnectFailed message;
    message.upstream = failed->upstream;
    message.error = failed->error;
    tell(message);
  } else if (const auto* drained = std::get_if<LoopDrained>(&event.what)) {
    if (drained->version != state_->version || !from_all(drained_[drained->upstream])) return;
    drained_.erase(drained->upstream);
    ipc::Drained message;
    message.upstream = drained->upstream;
    tell(message);
  } else if (const auto* quiet = std::get_if<LoopQuiet>(&event.what)) {
    if (quiet->version == state_->version && from_all(quiet_)) tell(ipc::Quiet{});
  } else if (const auto* pong = std::get_if<LoopPong>(&event.what)) {
    if (pong->number != ping_ || !from_all(ponged_)) return;
    ping_open_ = false;
    ipc::ProxyPong message;
    message.number = pong->number;
    tell(message);
  } else if (auto* in_flight = std::get_if<LoopInFlight>(&event.what)) {
    add_in_flight(event.loop, in_flight->upstream, std::move(in_flight->list));
  }
}

void ControlLink::ask_in_flight(std::uint64_t upstream) {
  if (loops_.empty()) return tell_in_flight(upstream, {});
  if (in_flight_.size() >= kDeathsOpenMax || !in_flight_.try_emplace(upstream).second) return;
  for (auto& one : loops_) one->command(AskInFlight{upstream});
}

void ControlLink::add_in_flight(std::size_t loop, std::uint64_t upstream, ipc::InFlight&& list) {
  auto at = in_flight_.find(upstream);
  if (at == in_flight_.end() || !at->second.told.insert(loop).second) return;
  merge(at->second.list, std::move(list));
  if (at->second.told.size() < loops_.size()) return;
  ipc::InFlight whole = std::move(at->second.list);
  in_flight_.erase(at);
  tell_in_flight(upstream, std::move(whole));
}

void ControlLink::tell_in_flight(std::uint64_t upstream, ipc::InFlight list) {
  cut(list);
  auto bulk = ipc::make_bulk("rota-in-flight", ipc::encode_bulk(list));
  if (!bulk) return log::warning("what was in flight cannot be told: {}", bulk.error().text());
  const std::array<int, 1> fds{bulk->get()};
  if (supervisor_ && !supervisor_.send(ipc::InFlightTold{upstream}, fds)) {
    log::debug("what was in flight could not be told");
  }
}

void ControlLink::answer_ping(std::uint64_t number) {
  std::uint64_t dropped = log_writer_.dropped_lines();
  if (dropped != dropped_lines_) {
    log::warning("the access log takes no more: {} lines were dropped", dropped - dropped_lines_);
    dropped_lines_ = dropped;
  }
  if (loops_.empty()) {
    ipc::ProxyPong message;
    message.number = number;
    return tell(message);
  }
  // A round that is still open goes on: a slow loop answers late, and is not taken for a dead one.
  if (ping_open_) return;
  ping_open_ = true;
  ping_ = number;
  ponged_.clear();
  for (auto& one : loops_) one->command(LoopPing{number});
}

}  // namespace rota::proxy
