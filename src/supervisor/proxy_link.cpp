#include "rota/supervisor/proxy_link.h"

#include <algorithm>
#include <array>

#include "rota/base/log.h"

namespace rota::supervisor {

namespace {
constexpr int kMessagesPerTurn = 256;
// Counted in pings and not in time: a supervisor that was itself stopped for a while must not blame the proxy.
constexpr std::uint64_t kUnansweredMax = ipc::kSilenceMax / ipc::kPingInterval;
}  // namespace

ProxyLink::ProxyLink(uv::Loop& loop, ProxyLinkListener& listener)
    : loop_(loop), listener_(listener), timer_(loop, *this) {}

void ProxyLink::connect(UniqueFd channel, std::uint64_t proxy_epoch, std::uint64_t own_epoch) {
  disconnect();
  channel_ = ipc::Channel(std::move(channel));
  epoch_ = proxy_epoch;
  answered_ = pings_;
  loss_told_ = false;
  applied_ = 0;
  watcher_ = std::make_unique<uv::FdWatcher>(loop_, channel_.fd(), static_cast<uv::FdListener&>(*this));
  watcher_->start();
  timer_.start(ipc::kPingInterval, ipc::kPingInterval);
  // A fresh pair has room for it; a proxy that is gone already is told about by the keeper.
  static_cast<void>(channel_.send(ipc::ProxyHello{ipc::kProtocolVersion, own_epoch}));
  state_sent_ = false;
  send_state();
}

void ProxyLink::disconnect() {
  timer_.stop();
  watcher_.reset();
  channel_.close();
}

void ProxyLink::publish(UniqueFd bulk, std::uint64_t version) {
  state_ = std::move(bulk);
  version_ = version;
  state_sent_ = false;
  send_state();
}

// Full (a proxy that does not read): the timer tries again, with whatever is newest by then.
void ProxyLink::send_state() {
  if (!connected() || !state_ || state_sent_) return;
  std::array<int, 1> fds = {state_.get()};
  state_sent_ = channel_.send(ipc::StateChanged{version_}, fds).has_value();
}

bool ProxyLink::ask_in_flight(std::uint64_t upstream) {
  return connected() && channel_.send(ipc::WorkerDied{upstream}).has_value();
}

bool ProxyLink::take_in_flight(ipc::Packet& packet) {
  ipc::InFlightTold told;
  ipc::InFlight list;
  if (!ipc::decode_message(packet.bytes, told) || packet.fd_count != 1) return false;
  auto bytes = ipc::read_bulk(packet.fds[0].get());
  if (!bytes || bytes->size() > ipc::kInFlightBytesMax) return false;
  if (!ipc::decode_bulk(*bytes, list) || !list.is_sound()) return false;
  listener_.on_proxy_in_flight(told.upstream, std::move(list));
  return true;
}

void ProxyLink::on_timer(uv::Timer&) {
  send_state();
  if (pings_ - answered_ >= kUnansweredMax) {
    tell_loss(ProxyLinkListener::Loss::silent);
    return;
  }
  static_cast<void>(channel_.send(ipc::ProxyPing{++pings_}));
}

void ProxyLink::tell_loss(ProxyLinkListener::Loss loss) {
  if (loss_told_) return;
  loss_told_ = true;
  listener_.on_proxy_lost(epoch_, loss);
}

void ProxyLink::on_readable(uv::FdWatcher&) {
  for (int i = 0; i < kMessagesPerTurn && connected(); i++) {
    auto packet = channel_.receive();
    if (packet && !*packet) return;
    if (packet && dispatch(**packet)) continue;
    bool gone = !packet && packet.error().code == Errc::closed;
    disconnect();
    tell_loss(gone ? ProxyLinkListener::Loss::closed : ProxyLinkListener::Loss::broken);
    return;
  }
}

// The proxy faces the network, so it is not trusted to be sane: what it says badly ends its channel, not this process.
bool ProxyLink::dispatch(ipc::Packet& packet) {
  auto with = [&](auto message, auto&& use) {
    if (!ipc::decode_message(packet.bytes, message)) return false;
    use(message);
    return true;
  };
  switch (static_cast<ipc::ProxyMessage>(packet.type())) {
    case ipc::ProxyMessage::hello: {
      ipc::ProxyHello hello;
      return ipc::decode_message(packet.bytes, hello) && hello.version == ipc::kProtocolVersion;
    }
    case ipc::ProxyMessage::applied:
      return with(ipc::Applied{}, [&](const auto& m) {
        applied_ = std::max(applied_, m.version);
        listener_.on_proxy_applied(m.version);
      });
    case ipc::ProxyMessage::connect_failed:
      return with(ipc::ConnectFailed{}, [&](const auto& m) { listener_.on_proxy_connect_failed(m.upstream, m.error); });
    case ipc::ProxyMessage::drained:
      return with(ipc::Drained{}, [&](const auto& m) { listener_.on_proxy_drained(m.upstream); });
    case ipc::ProxyMessage::in_flight: return take_in_flight(packet);
    case ipc::ProxyMessage::quiet: return with(ipc::Quiet{}, [&](const auto&) { listener_.on_proxy_quiet(); });
    case ipc::ProxyMessage::pong:
      return with(ipc::ProxyPong{},
                  [&](const auto& m) { answered_ = std::max(answered_, std::min(m.number, pings_)); });
    default: return false;
  }
}

}  // namespace rota::supervisor
