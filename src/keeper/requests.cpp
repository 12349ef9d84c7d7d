#include "rota/keeper/requests.h"

#include "rota/base/log.h"
#include "rota/sys/memfd.h"

namespace rota::keeper {

namespace {

// One descriptor came with the message, and it is a sealed memfd of a size that we accept.
bool has_bulk(const ipc::Packet& packet) {
  return packet.fd_count == 1 && sys::check_sealed_memfd(packet.fds[0].get(), ipc::kBulkMax).has_value();
}

bool use_for_log(const ipc::LogSettings& settings) {
  if (settings.level > static_cast<unsigned>(log::Level::error)) return false;
  if (settings.format > static_cast<unsigned>(log::Format::json)) return false;
  log::set_threshold(static_cast<log::Level>(settings.level));
  log::set_format(static_cast<log::Format>(settings.format));
  return true;
}

}  // namespace

void Requests::handle(ipc::Packet& packet, TimePoint now) {
  if (!dispatch(packet, now)) roles_.supervisor().broke_protocol("a request cannot be understood");
}

bool Requests::dispatch(ipc::Packet& packet, TimePoint now) {
  using ipc::KeeperMessage;
  // Decodes into M and calls act(message); false when the message is malformed or has the wrong number of descriptors.
  auto as = [&]<class M>(M message, bool fds_right, auto act) -> bool {
    return fds_right && ipc::decode_message(packet.bytes, message) && act(message);
  };
  bool bare = packet.fd_count == 0;
  switch (static_cast<KeeperMessage>(packet.type())) {
    case KeeperMessage::spawn: return as(ipc::Spawn{}, has_bulk(packet), [&](auto& m) { return spawn(m, packet); });
    case KeeperMessage::signal:
      return as(ipc::Signal{}, bare, [&](auto& m) { return workers_.signal(m.id, m.number, m.group, now), true; });
    case KeeperMessage::acknowledge_exit:
      return as(ipc::AcknowledgeExit{}, bare, [&](auto& m) { return workers_.acknowledge(m.id), true; });
    case KeeperMessage::bind: return as(ipc::Bind{}, bare, [&](auto& m) { return bind(m); });
    case KeeperMessage::shelve:
      return as(ipc::Shelve{}, packet.fd_count > 0, [&](auto& m) { return shelve(m, packet); });
    case KeeperMessage::unshelve: return as(ipc::Unshelve{}, bare, [&](auto& m) { return unshelve(m); });
    case KeeperMessage::save_state:
      return as(ipc::SaveState{}, has_bulk(packet),
                [&](auto&) { return saved_state_ = std::move(packet.fds[0]), true; });
    case KeeperMessage::proxy_recipe:
      return as(ipc::ProxyRecipe{}, has_bulk(packet),
                [&](auto&) { return roles_.set_recipe(std::move(packet.fds[0]), now), true; });
    case KeeperMessage::proxy_state:
      return as(ipc::ProxyStateSaved{}, has_bulk(packet),
                [&](auto&) { return roles_.set_proxy_state(std::move(packet.fds[0])), true; });
    case KeeperMessage::notify: return as(ipc::Notify{}, bare, [&](auto& m) { return systemd_.notify(m.text), true; });
    case KeeperMessage::list: return as(ipc::List{}, bare, [&](auto&) { return list_at_ = 0, true; });
    case KeeperMessage::shutdown:
      return as(ipc::ShutDown{}, bare, [&](auto& m) { return shutdown_code_ = m.exit_code, true; });
    case KeeperMessage::pong: return as(ipc::Pong{}, bare, [&](auto& m) { return roles_.pong(m.number, now), true; });
    case KeeperMessage::kill_proxy:
      return as(ipc::KillProxy{}, bare, [&](auto& m) { return roles_.kill_proxy(m.epoch), true; });
    case KeeperMessage::log_settings: return as(ipc::LogSettings{}, bare, [](auto& m) { return use_for_log(m); });
    default: return false;  // what only the keeper says, and numbers that nobody has given a meaning
  }
}

bool Requests::spawn(const ipc::Spawn& request, ipc::Packet& packet) {
  return workers_.spawn(request.id, packet.fds[0].get());
}

bool Requests::bind(const ipc::Bind& request) {
  Shelf::BindResult result = shelf_.bind(request);
  ipc::Bound answer;
  answer.name = request.name;
  answer.error = result.error;
  answer.step = result.step;
  if (result.entry != nullptr) {
    answer.port = result.entry->port;
    if (result.made) roles_.give_to_proxy(*result.entry);
  }
  roles_.supervisor().say(answer);
  return true;
}

bool Requests::shelve(const ipc::Shelve& request, ipc::Packet& packet) {
  const ShelfEntry* before = shelf_.find(request.name);
  bool gone = before != nullptr && before->for_proxy && !request.for_proxy;
  const ShelfEntry* entry = shelf_.put(request.name, request.for_proxy, std::span(packet.fds).first(packet.fd_count));
  if (entry == nullptr) {
    log::error("'{}' cannot be kept: there are {} things on the shelf already, or the name is no good", request.name,
               kShelfMax);
    return true;
  }
  if (entry->for_proxy) roles_.give_to_proxy(*entry);
  if (gone) {
    ipc::ProxyFdGone message;
    message.name = request.name;
    roles_.proxy().say(message);
  }
  return true;
}

bool Requests::unshelve(const ipc::Unshelve& request) {
  bool was_for_proxy = false;
  if (!shelf_.remove(request.name, was_for_proxy) || !was_for_proxy) return true;
  ipc::ProxyFdGone message;
  message.name = request.name;
  roles_.proxy().say(message);
  return true;
}

// Tells the item at *list_at_: first the places of the process table, then those of the shelf, the saved state, the
// end.
bool Requests::list_step() {
  Role& supervisor = roles_.supervisor();
  std::size_t at = *list_at_;
  if (at < kProcessesMax) return workers_.list_place(at);
  at -= kProcessesMax;
  if (at < kShelfMax) {
    const ShelfEntry& entry = shelf_.places()[at];
    if (!entry.used()) return true;
    ipc::Shelved message;
    message.name = entry.name;
    message.for_proxy = entry.for_proxy;
    message.listener = entry.listener;
    message.port = entry.port;
    std::array<int, ipc::kFdsMax> room;
    return supervisor.try_say(message, entry.descriptors(room));
  }
  at -= kShelfMax;
  if (at == 0) {
    int state[] = {saved_state_.get()};
    return !saved_state_ || supervisor.try_say(ipc::SavedState{}, state);
  }
  if (!supervisor.try_say(ipc::ListEnd{})) return false;
  list_at_.reset();
  return true;
}

bool Requests::continue_telling() {
  if (!roles_.supervisor().channel()) return true;
  while (list_at_) {
    if (!list_step()) return false;
    if (list_at_) ++*list_at_;
  }
  return workers_.tell_ends();
}

}  // namespace rota::keeper
