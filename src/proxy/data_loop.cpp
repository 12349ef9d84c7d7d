#include "rota/proxy/data_loop.h"

#include <pthread.h>

#include <algorithm>
#include <utility>

#include "rota/base/log.h"
#include "rota/proxy/exchange.h"

namespace rota::proxy {

namespace {

std::string shown(const ClientInfo& client) {
  return client.kind == ClientInfo::Kind::ip ? std::string(client.address.text().view()) : "a Unix socket";
}

}  // namespace

DataLoop::DataLoop(std::size_t index, LogWriter& log_writer, ClientGate& gate, Suspects& suspects, LoopEvents& events)
    : index_(index),
      gate_(gate),
      events_(events),
      loop_("data " + std::to_string(index)),
      context_(loop_, log_writer, suspects, *this),
      wakeup_(loop_, *this),
      tick_(loop_, *this),
      retry_timer_(loop_, *this),
      descriptor_timer_(loop_, *this) {}

DataLoop::~DataLoop() { ROTA_CHECK(!thread_.joinable()); }

void DataLoop::start() {
  tick_.start(Deadlines::kTick, Deadlines::kTick);
  thread_ = std::thread([this] {
    ::pthread_setname_np(::pthread_self(), "data loop");
    loop_.run();
  });
}

void DataLoop::command(LoopCommand order) {
  commands_.post(std::move(order));
  wakeup_.wake();
}

void DataLoop::stop() {
  command(StopLoop{});
  thread_.join();
}

void DataLoop::on_wakeup(uv::Wakeup&) {
  for (LoopCommand& order : commands_.take()) orders_.push_back(std::move(order));
  loop_.defer(*this);
}

// By now this turn has seen whatever was on the connections before the orders were given: the ends of a dead worker's
// are there before anybody has heard of its death. Those that it does not read for now, because a client is slow, are
// found by looking.
void DataLoop::run_deferred() {
  for (LoopCommand& order : std::exchange(orders_, {})) {
    std::visit([this](auto& one) { obey(one); }, order);
  }
}

void DataLoop::obey(LoopPing& order) { events_.post({index_, LoopPong{order.number}}); }

void DataLoop::obey(AskInFlight& order) {
  context_.lost.blame(order.upstream, context_.suspects, loop_.now());
  ipc::InFlight list = context_.lost.of(order.upstream, loop_.now());
  sessions_.for_each([&](Session& session) {
    const Exchange* exchange = session.exchange();
    if (exchange == nullptr || !exchange->is_on(order.upstream)) return;
    if (exchange->is_unread()) {
      list.unread++;
      return;
    }
    list.total++;
    if (list.requests.size() < LostRequests::kRequestsMax) list.requests.push_back(exchange->describe());
  });
  events_.post({index_, LoopInFlight{order.upstream, std::move(list)}});
}

void DataLoop::obey(StopLoop&) {
  listeners_.clear();
  // Each of these removes its session, and may end others: what has been freed releases a held request that is refused
  // then.
  while (!sessions_.empty()) sessions_.front().cut();
  for (auto& app : apps_) app->forget();
  context_.flush_access_log();
  loop_.stop();
}

void DataLoop::obey(ApplyState& order) {
  bool was_draining = context_.draining();
  context_.state = std::move(order.state);
  routing_ = std::move(order.routing);
  apply_apps(*context_.state);
  limit_connections(order.connections_max);
  update_listeners();
  for (auto& app : apps_) {
    if (context_.draining()) app->give_up_if_hopeless();
  }
  if (context_.draining() && !was_draining) {
    sessions_.for_each([](Session& session) { session.drain(); });
  }
  // A supervisor that has started anew must hear it again.
  quiet_told_ = false;
  events_.post({index_, LoopApplied{context_.state->version}});
  tell_if_quiet();
}

void DataLoop::apply_apps(const ipc::ProxyState& state) {
  for (auto& app : apps_) {
    bool known = std::any_of(state.apps.begin(), state.apps.end(),
                             [&](const ipc::AppState& one) { return one.name == app->name(); });
    if (!known) app->forget();
  }
  routed_.clear();
  for (const ipc::AppState& one : state.apps) {
    auto at = std::find_if(apps_.begin(), apps_.end(), [&](const auto& have) { return have->name() == one.name; });
    if (at == apps_.end()) at = apps_.insert(apps_.end(), std::make_unique<App>(context_));
    (*at)->apply(one);
    routed_.push_back(at->get());
  }
  std::erase_if(apps_, [](const std::unique_ptr<App>& app) { return app->finished(); });
}

// --- listeners
// -----------------------------------------------------------------------------------------------------------

void DataLoop::obey(TakeListeners& order) {
  for (auto& listener : listeners_) {
    // Clients in the backlog have been told "connected".
    if (listener->name() == order.name && order.fds.empty()) listener->accept_all();
  }
  std::erase_if(listeners_, [&](const auto& one) { return one->name() == order.name; });
  const std::string& name = *listener_names_.insert(order.name).first;
  for (UniqueFd& fd : order.fds) {
    listeners_.push_back(std::make_unique<Listener>(loop_, name, std::move(fd), *this));
  }
  forget_listener_names();
  update_listeners();
  tell_if_quiet();
}

// Of reloads there may be any number: only names are kept that a listener or a session still refers to.
void DataLoop::forget_listener_names() {
  std::set<const std::string*> used;
  for (const auto& listener : listeners_) used.insert(&listener->name());
  sessions_.for_each([&used](const Session& session) { used.insert(session.listener()); });
  std::erase_if(listener_names_, [&used](const std::string& name) { return !used.contains(&name); });
}

void DataLoop::update_listeners() {
  // A draining loop accepts until its listeners are taken away: whoever connects before that is served.
  accepting_ = !full_ && !descriptor_timer_.active();
  for (auto& listener : listeners_) {
    const auto& wanted = context_.state->listeners;
    auto listed = std::find_if(wanted.begin(), wanted.end(),
                               [&](const ipc::ListenerState& one) { return one.name == listener->name(); });
    if (listed != wanted.end()) listener->proxy_protocol = listed->proxy_protocol;
    if (accepting_ && listed != wanted.end()) {
      listener->start();
    } else {
      listener->stop();
    }
  }
}

// Connections beyond a limit that has become lower stay until they end by themselves.
void DataLoop::limit_connections(std::size_t most) {
  if (most == connections_max_) return;
  connections_max_ = most;
  full_ = !has_room();
}

bool DataLoop::has_room() const { return session_count_ < connections_max_; }

// Whoever opens more connections than an address may have is not worth a staged close: the descriptor ends here.
bool DataLoop::admit(ClientInfo& client) {
  const std::uint32_t limit = context_.state->connections_per_address;
  if (limit == 0 || client.kind != ClientInfo::Kind::ip) return true;
  if (gate_.enter(client.address, limit, client.slot)) return true;
  if (const std::uint64_t refused = gate_.too_many.add(loop_.now()); refused > 0) {
    log::warning("{} has {} connections, limits.connections_per_address: {} more were closed",
                 client.address.text().view(), limit, refused);
  }
  return false;
}

bool DataLoop::announced(ClientInfo& client, const ProxyHeader& header) {
  switch (header.from) {
    case ProxyHeader::From::sender: return true;
    case ProxyHeader::From::unknown: client.only_relays = true; return true;
    case ProxyHeader::From::ip:
      client.kind = ClientInfo::Kind::ip;
      client.address = header.source;
      client.port = header.destination_port;
      return admit(client);
  }
  return false;
}

void DataLoop::bad_proxy_header(const ClientInfo& client, const char* why) {
  if (const std::uint64_t refused = gate_.bad_proxy_header.add(loop_.now()); refused > 0) {
    log::warning("closed {} connections that did not say whose they are; the last, from {}: {}", refused, shown(client),
                 why);
  }
}

// On a listener with the PROXY protocol the peer is a balancer: whether it may speak for others is asked now, and the
// limit of connections is for the clients it names.
bool DataLoop::may_announce(const Listener& by, const ClientInfo& client) {
  if (is_trusted(client, *context_.state)) return true;
  if (const std::uint64_t refused = gate_.not_trusted.add(loop_.now()); refused > 0) {
    const auto& known = context_.state->listeners;
    auto at = std::find_if(known.begin(), known.end(), [&](const auto& one) { return one.name == by.name(); });
    log::warning("closed {} connections to {}, which takes them from trusted_proxies only; the last came from {}",
                 refused, at == known.end() ? by.name() : at->text, shown(client));
  }
  return false;
}

void DataLoop::accepted(Listener& by, UniqueFd fd, ClientInfo client) {
  const bool announced = by.proxy_protocol;
  if (announced ? !may_announce(by, client) : !admit(client)) return;
  auto session = std::make_unique<Session>(context_, *this, std::move(client));
  if (!session->open(std::move(fd))) return;
  if (announced) session->expect_proxy_header();
  sessions_.push_back(*session.release());
  session_count_++;
  if (!has_room() && !full_) {
    full_ = true;
    log::warning("{} client connections: the limit of this loop; new ones wait", session_count_);
    update_listeners();
  }
}

void DataLoop::session_ended(Session& session) {
  IntrusiveList<Session, SessionLink>::remove(session);
  session_count_--;
  loop_.retire(std::unique_ptr<uv::Retirable>(&session));
  if (full_ && session_count_ < connections_max_ - connections_max_ / 16) {
    full_ = false;
    update_listeners();
  }
  tell_if_quiet();
}

void DataLoop::tell_if_quiet() {
  if (!context_.draining() || session_count_ > 0 || !listeners_.empty() || quiet_told_) return;
  quiet_told_ = true;
  context_.flush_access_log();
  events_.post({index_, LoopQuiet{context_.state->version}});
}

void DataLoop::out_of_descriptors() {
  if (descriptor_timer_.active()) return;
  log::warning("out of file descriptors: new connections wait; raise the limit (LimitNOFILE, ulimit -n)");
  descriptor_timer_.start(kDescriptorPause);
  update_listeners();
}

// --- requests
// ------------------------------------------------------------------------------------------------------------

SessionOwner::Routed DataLoop::route(const http::RequestHead& head, const ClientInfo& client) {
  const auto refused = [](Outcome outcome) {
    return Routed{nullptr, outcome, info_of(outcome).status, info_of(outcome).text};
  };
  if (head.max_forwards == 0) return {nullptr, Outcome::ok, 200, ""};  // its last hop is this one (RFC 9110 7.6.2)
  if (head.own_vias >= kOwnViasMax) return refused(Outcome::loop_detected);
  if (routing_ == nullptr) return refused(Outcome::no_route);
  const RoutingTable::Found found = routing_->find(*client.listener, head.host, head.target, routing_scratch_);
  switch (found.verdict) {
    case RoutingTable::Verdict::app: return {.app = routed_[found.app]};
    case RoutingTable::Verdict::none: return refused(Outcome::no_route);
    case RoutingTable::Verdict::ambiguous:
      return {nullptr, Outcome::bad_request, 400, "a path that apps may read in two ways"};
  }
  return {};
}

void DataLoop::connect_failed(std::uint64_t upstream, int error) {
  events_.post({index_, LoopConnectFailed{upstream, error}});
}

void DataLoop::drained(std::uint64_t upstream) {
  events_.post({index_, LoopDrained{context_.state->version, upstream}});
}

void DataLoop::retry_soon() {
  if (!retry_timer_.active()) retry_timer_.start(kRetrySoon);
}

void DataLoop::release_held() {
  for (auto& app : apps_) {
    if (app->has_held()) app->release_held();
  }
}

void DataLoop::sweep() {
  if (context_.deadlines.expire(loop_.now()))
    retry_soon();  // the rest in a moment: clients have waited so long already
}

void DataLoop::on_timer(uv::Timer& timer) {
  if (&timer == &descriptor_timer_) return update_listeners();
  release_held();
  sweep();
  if (&timer == &tick_) context_.flush_access_log();
}

}  // namespace rota::proxy
