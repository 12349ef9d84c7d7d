#include "world.h"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "rota/base/check.h"
#include "rota/base/log.h"
#include "rota/sys/socket.h"
#include "rota/uv/handles.h"

namespace rota::fuzz {

namespace {

constexpr int kBacklog = 2;  // full at once, so that "busy" is seen too
constexpr Duration kLongest = 3600s;
// Turns in which nothing moved at any end of ours. More is a loop that spins; as many requests as a client may have
// sent behind each other take a turn each.
constexpr unsigned kIdleTurnsMax = 5'000;
constexpr unsigned kTurnsMax = 100'000;
constexpr std::uint32_t kRepeatsMax = 500;

UniqueFd made(sys::Listen made) {
  ROTA_CHECK(made.error == 0);
  return std::move(made.fd);
}

// Which descriptors are open, of the first so many.
std::bitset<kFdsMax> open_descriptors() {
  std::array<pollfd, kFdsMax> all;
  for (std::size_t i = 0; i < all.size(); i++) all[i] = {static_cast<int>(i), 0, 0};
  ROTA_CHECK(::poll(all.data(), all.size(), 0) >= 0);
  std::bitset<kFdsMax> open;
  for (std::size_t i = 0; i < all.size(); i++) open[i] = (all[i].revents & POLLNVAL) == 0;
  return open;
}

}  // namespace

// Keeps the loop alive while no stream is read, as a real one's wakeup does.
struct World::Ground final : uv::WakeupListener {
  Ground() : loop("fuzz"), wakeup(loop, *this) {
    log::set_threshold(log::Level::error);
    for (std::size_t slot = 0; slot < kSlots; slot++) {
      names[slot] = "@rota-fuzz-" + std::to_string(::getpid()) + "-" + std::to_string(slot);
      ports[slot] = 0;
    }
    front = made(sys::listen_on(*sys::tcp_address("127.0.0.1", 0), {}));
    front_address = sys::local_address(front.get());
  }
  void on_wakeup(uv::Wakeup&) override {}
  sys::SocketAddress address(std::size_t slot, bool tcp) const {
    return tcp ? *sys::tcp_address("127.0.0.1", ports[slot]) : *sys::unix_address(names[slot]);
  }
  UniqueFd& listener(std::size_t slot, bool tcp) { return (tcp ? tcp_listeners : unix_listeners)[slot]; }
  void listen(std::size_t slot, bool tcp) {
    UniqueFd& fd = listener(slot, tcp);
    if (fd) return;
    fd = made(sys::listen_on(address(slot, tcp), {.backlog = kBacklog}));
    if (tcp) ports[slot] = sys::local_address(fd.get()).port();
  }

  uv::Loop loop;
  uv::Wakeup wakeup;
  proxy::LogWriter log_writer;
  std::array<std::string, kSlots> names;
  std::array<std::uint16_t, kSlots> ports{};
  std::array<UniqueFd, kSlots> unix_listeners;
  std::array<UniqueFd, kSlots> tcp_listeners;
  UniqueFd front;  // where TCP clients connect to
  sys::SocketAddress front_address;
};

World::Ground& World::ground() {
  static Ground& one = *new Ground;  // never destroyed: the log's thread would be waited for
  return one;
}

World::World(Script& script)
    : script_(script),
      ground_(ground()),
      now_(std::chrono::hours(1)),
      context_(ground_.loop, ground_.log_writer, suspects_, *this) {
  for (const Order& order : script_.orders) {
    if (order.what == 'T') clients_over_tcp_ = true;
    if (order.what == 'Y') workers_over_tcp_ = true;
    if (order.what != 'T' && order.what != 'Y') break;
  }
  // Those that a script may close and open again get new numbers then, and are left out.
  descriptors_before_ = open_descriptors();
  for (std::size_t slot = 0; slot < kSlots; slot++) ground_.listen(slot, workers_over_tcp_);
  ground_.loop.hold_time(now_);
}

void World::play() {
  apply(0);
  connect_client();
  for (const Order& order : script_.orders) {
    obey(order);
    if (order.settles) settle();
  }
  settle();
}

void World::obey(const Order& order) {
  switch (order.what) {
    case 'c':
    case 'C': return say(order, script_.client, client());
    case 'w':
    case 'W': return say(order, script_.worker, worker());
    case 'p':
    case 'P': client_reads_ = order.what == 'P'; return;
    case 'q':
    case 'Q': workers_read_ = order.what == 'Q'; return;
    case 'a':
    case 'A': accepting_ = order.what == 'A'; return;
    case 'h':
      if (client() != nullptr) client()->shut_down(step_);
      return;
    case 'H':
      if (worker() != nullptr) worker()->shut_down(step_);
      return;
    case 'x':
    case 'z':
      if (client() != nullptr) client()->close(step_, order.what == 'z');
      return;
    case 'X':
    case 'Z':
      if (worker() != nullptr) worker()->close(step_, order.what == 'Z');
      return;
    case 'o': return connect_client();
    case 'i': return next(client_, clients.size());
    case 'n': return next(worker_, workers.size());
    case 'd': return die();
    case 'D': return listen(worker() != nullptr ? worker()->slot : 0, false);
    case 'l':
      for (std::size_t slot = 0; slot < kSlots; slot++) listen(slot, true);
      return;
    case 's': return apply(order.count);
    case 't': return pass(Duration(order.count));
    case 'g': draining_ = true; return apply(kind_);
    case 'k': sessions_.for_each([](proxy::Session& session) { session.cut(); }); return;
    default: return;
  }
}

void World::say(const Order& order, Text& text, Peer* peer) {
  const bool again = order.what == 'C' || order.what == 'W';
  const std::string said = again ? std::string() : order.counted ? text.octets(order.count) : text.piece();
  if (peer == nullptr) return;
  std::string more = said;
  for (std::uint32_t i = again ? std::clamp(order.count, 1U, kRepeatsMax) : 0; i > 0 && more.size() < Peer::kSentMax;
       i--) {
    const std::string one = text.again();
    if (one.empty()) break;
    more.append(one);
  }
  if (!more.empty()) peer->send(more, step_);
}

void World::next(std::size_t& which, std::size_t count) {
  if (count > 0) which = (which + 1) % count;
}

// --- connections

void World::connect_client() {
  if (clients.size() == kClientsMax) return;
  UniqueFd near;
  UniqueFd far;
  if (clients_over_tcp_) {
    sys::Connect connected = sys::connect_to(ground_.front_address);
    if (connected.error != 0 && connected.error != EINPROGRESS) return;
    sys::Accept accepted = sys::accept_connection(ground_.front.get());
    if (accepted.error != 0) return;
    near = std::move(connected.fd);
    far = std::move(accepted.fd);
  } else {
    int pair[2];
    ROTA_CHECK(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) == 0);
    near = UniqueFd(pair[0]);
    far = UniqueFd(pair[1]);
  }
  proxy::ClientInfo info;
  info.kind = proxy::ClientInfo::Kind::ip;
  info.address = *http::IpAddress::parse("192.0.2." + std::to_string(clients.size()));
  info.listener = &listener_name_;
  auto session = std::make_unique<proxy::Session>(context_, *this, std::move(info));
  ROTA_CHECK(session->open(std::move(far)));
  sessions_.push_back(*session.release());
  session_count_++;
  client_ = clients.size();
  clients.emplace_back(std::move(near), clients_over_tcp_);
}

void World::session_ended(proxy::Session& session) {
  IntrusiveList<proxy::Session, proxy::SessionLink>::remove(session);
  session_count_--;
  context_.loop.retire(std::unique_ptr<uv::Retirable>(&session));
}

void World::accept_workers(std::size_t slot) {
  sys::Accept accepted = sys::accept_connection(ground_.listener(slot, workers_over_tcp_).get());
  if (accepted.error != 0 || workers.size() == kWorkersMax) return;
  workers.emplace_back(std::move(accepted.fd), workers_over_tcp_, slot);
  if (!workers_read_) worker_ = workers.size() - 1;  // else with its first octet: it may be just a question who listens
}

void World::listen(std::size_t slot, bool on) {
  if (listening_[slot] == on) return;
  listening_[slot] = on;
  if (on) {
    ground_.listen(slot, workers_over_tcp_);
  } else {
    ground_.listener(slot, workers_over_tcp_).reset();
  }
}

void World::die() {
  const std::size_t slot = worker() != nullptr ? worker()->slot : 0;
  listen(slot, false);
  for (WorkerConnection& one : workers) {
    if (one.slot == slot) one.close(step_, false);
  }
}

// --- the proxy's owner

proxy::SessionOwner::Routed World::route(const http::RequestHead& head, const proxy::ClientInfo& client) {
  const std::size_t which = client.address.octets()[15];
  ROTA_CHECK(which < clients.size() && clients[which].requests.size() < 60'000);
  RoutedRequest request{which, std::string(head.method_text), std::string(head.target)};
  const auto refused = [&](proxy::Outcome outcome) {
    request.refused = true;
    return Routed{nullptr, outcome, proxy::info_of(outcome).status, proxy::info_of(outcome).text};
  };
  Routed routed{.app = app_};
  if (head.max_forwards == 0) {
    request.refused = true;
    routed = {nullptr, proxy::Outcome::ok, 200, ""};
  } else if (app_ == nullptr || head.target.starts_with("/404")) {
    routed = refused(proxy::Outcome::no_route);
  }
  requests.push_back(std::move(request));
  const auto number = static_cast<unsigned>(requests.size());
  clients[which].requests.push_back(number);
  // The session's own and no constant: the one thing of it that the worker is told and that nothing else depends on.
  const_cast<proxy::ClientInfo&>(client).port = static_cast<std::uint16_t>(number);
  return routed;
}

// kind: two bits for the first worker (ready, waiting, draining, not there), two for the second (not there, ready,
// waiting, draining); 16: small bodies only; 32: no queue; 64: no retries; 128: small heads only; 256: no app.
ipc::ProxyState World::wanted(std::uint32_t kind) const {
  using enum ipc::UpstreamPhase;
  ipc::ProxyState state;
  state.version = step_;
  state.phase = draining_ ? ipc::ProxyPhase::draining : ipc::ProxyPhase::serving;
  state.access_log = "log";
  state.header = 10s;
  state.body = state.write = 30s;
  state.idle = 75s;
  state.connect = 5s;
  state.tunnel = kLongest;
  state.upstream_idle = 1500ms;
  const bool small_heads = (kind & 128) != 0;
  state.head = small_heads ? 512_B : 8_KiB;
  state.target = small_heads ? 64_B : 1_KiB;
  state.fields_max = small_heads ? 8 : 50;
  state.body_max = (kind & 16) != 0 ? 1000_B : 0_B;
  ipc::AppState app;
  app.name = "web";
  app.queue_size = (kind & 32) != 0 ? 0 : 2;
  app.queue_timeout = 10s;
  app.retry_attempts = (kind & 64) != 0 ? 0 : kRetries;
  app.response_timeout = app.idle_timeout = 60s;
  const ipc::UpstreamPhase phases[kSlots][4] = {{ready, waiting, draining, count_}, {count_, ready, waiting, draining}};
  for (std::size_t slot = 0; slot < kSlots; slot++) {
    ipc::UpstreamState upstream;
    upstream.phase = phases[slot][kind >> (2 * slot) & 3];
    if (upstream.phase == count_) continue;
    upstream.id = ids_[slot];
    upstream.slot = static_cast<std::uint32_t>(slot);
    upstream.kind = workers_over_tcp_ ? ipc::UpstreamKind::tcp4 : ipc::UpstreamKind::unix_path;
    upstream.address = workers_over_tcp_ ? "127.0.0.1" : ground_.names[slot];
    upstream.port = ground_.ports[slot];
    app.upstreams.push_back(upstream);
  }
  if ((kind & 256) == 0) state.apps.push_back(app);
  return state;
}

// As a data loop does it.
void World::apply(std::uint32_t kind) {
  kind_ = kind;
  const bool no_app = (kind & 256) != 0;
  const bool absent[kSlots] = {no_app || (kind & 3) == 3, no_app || (kind >> 2 & 3) == 0};
  for (std::size_t slot = 0; slot < kSlots; slot++) {
    if (absent[slot]) ids_[slot] = 0;
    if (!absent[slot] && ids_[slot] == 0) ids_[slot] = ++last_id_;  // never used before
  }
  const bool was_draining = context_.draining();
  context_.state = std::make_shared<const ipc::ProxyState>(wanted(kind));
  if (context_.state->apps.empty()) {
    if (app_ != nullptr) app_->forget();
    app_ = nullptr;
  } else {
    if (app_ == nullptr) app_ = apps_.emplace_back(std::make_unique<proxy::App>(context_)).get();
    app_->apply(context_.state->apps[0]);
  }
  std::erase_if(apps_, [](const auto& app) { return app->finished(); });
  if (!context_.draining()) return;
  for (auto& app : apps_) app->give_up_if_hopeless();
  if (!was_draining) sessions_.for_each([](proxy::Session& session) { session.drain(); });
}

// --- time and turns

// One jump: a loop that was held up so long must cope as well as one that was not.
void World::pass(Duration time) {
  now_ += time;
  ground_.loop.hold_time(now_);
  constexpr Duration kRetrySoon{5};
  if (time >= proxy::Deadlines::kTick || (retry_wanted_ && time >= kRetrySoon)) {
    retry_wanted_ = false;
    for (auto& app : apps_) {
      if (app->has_held()) app->release_held();
    }
  }
  while (context_.deadlines.expire(now_)) continue;
}

void World::settle() {
  unsigned idle = 0;
  for (unsigned turns = 0;; turns++) {
    ROTA_CHECK(idle < kIdleTurnsMax && turns < kTurnsMax);
    const bool more = ground_.loop.run_once();
    const bool moved = pump();
    idle = moved ? 0 : idle + 1;
    if (!more && !moved && !loop_ready_) break;
  }
  step_++;
}

bool World::pump_peer(Peer& peer, short events, bool reads) {
  bool moved = false;
  if (events != 0) moved = peer.flush(step_);
  if (reads && peer.may_read() && (events & (POLLIN | POLLHUP | POLLERR)) != 0) moved = peer.read() || moved;
  return moved;
}

// Moves what can be moved at our ends; true: something was.
bool World::pump() {
  std::array<pollfd, kFdsMax> ready;
  std::size_t count = 0;
  const auto watch = [&](int fd, bool reads, bool writes) {
    const int events = (reads ? POLLIN : 0) | (writes ? POLLOUT : 0);
    ready[count++] = {events != 0 ? fd : -1, static_cast<short>(events), 0};
  };
  watch(ground_.loop.descriptor(), true, false);
  for (std::size_t slot = 0; slot < kSlots; slot++) {
    watch(ground_.listener(slot, workers_over_tcp_).get(), accepting_ && listening_[slot], false);
  }
  const std::size_t clients_at = count;
  for (const Client& one : clients) watch(one.fd.get(), client_reads_ && one.may_read(), !one.pending.empty());
  const std::size_t workers_at = count;
  const std::size_t workers_count = workers.size();
  for (const WorkerConnection& one : workers)
    watch(one.fd.get(), workers_read_ && one.may_read(), !one.pending.empty());
  int found = 0;
  do {
    found = ::poll(ready.data(), count, 0);
  } while (found < 0 && errno == EINTR);  // the fuzzer's own alarm
  ROTA_CHECK(found >= 0);

  loop_ready_ = ready[0].revents != 0;
  bool moved = false;
  for (std::size_t slot = 0; slot < kSlots; slot++) {
    if (ready[1 + slot].revents == 0) continue;
    accept_workers(slot);
    moved = true;
  }
  for (std::size_t i = 0; i < clients.size(); i++) {
    moved = pump_peer(clients[i], ready[clients_at + i].revents, client_reads_) || moved;
  }
  for (std::size_t i = 0; i < workers_count; i++) {
    const std::size_t had = workers[i].got.size();
    moved = pump_peer(workers[i], ready[workers_at + i].revents, workers_read_) || moved;
    if (workers[i].got.size() > had) worker_ = i;  // whose turn it is
  }
  return moved;
}

// --- the end

void World::finish() {
  const bool in_silence = script_.orders.size() % 2 == 0;
  constexpr std::string_view kCalm = "cCwWoinqQ";
  calm = in_silence && std::all_of(script_.orders.begin(), script_.orders.end(),
                                   [&](const Order& one) { return kCalm.find(one.what) != kCalm.npos; });
  if (!in_silence) {
    for (Client& one : clients) one.close(step_, false);
    for (WorkerConnection& one : workers) one.close(step_, false);
    settle();
  }
  // A request after another, each may wait for several things in turn.
  std::size_t rounds = 20 + 8 * clients.size();
  for (const Client& one : clients) rounds += one.sent.size() / 3;
  for (; session_count_ > 0 || context_.deadlines.any(); rounds--) {
    ROTA_CHECK(rounds > 0);  // whatever waits has a deadline
    pass(kLongest + 1s);
    settle();
  }
  // What was said is still there to be read.
  client_reads_ = workers_read_ = accepting_ = true;
  for (Client& one : clients) one.pending.clear();
  for (WorkerConnection& one : workers) one.pending.clear();
  settle();

  for (auto& app : apps_) app->forget();
  for (auto& app : apps_) ROTA_CHECK(app->finished());  // nothing in flight, nobody held
  apps_.clear();
  app_ = nullptr;
  settle();
  ROTA_CHECK(!context_.deadlines.any() && context_.to_client.empty() && context_.to_worker.empty());

  for (Client& one : clients) one.close(step_, true);
  for (WorkerConnection& one : workers) one.close(step_, true);
  for (std::size_t slot = 0; slot < kSlots; slot++) ground_.listener(slot, workers_over_tcp_).reset();
  ROTA_CHECK(open_descriptors() == descriptors_before_);
}

}  // namespace rota::fuzz
