#include "rota/supervisor/shutdown.h"

#include <algorithm>

namespace rota::supervisor {

// The last moment at which a worker is killed, so that all is over at shutdown.timeout.
TimePoint ShutdownPlan::kill_end() const { return begun_at_ + rules_.timeout - rules_.for_exits(); }
TimePoint ShutdownPlan::drain_end() const { return begun_at_ + rules_.for_clients(grace_); }

std::optional<TimePoint> ShutdownPlan::deadline() const {
  switch (stage_) {
    case Stage::delaying:
    case Stage::closing:
    case Stage::quieting: return stage_end_;
    case Stage::serving:
    case Stage::stopping:
    case Stage::ended:
    case Stage::count_: return {};
  }
  return {};
}

ShutdownOrders ShutdownPlan::resume(const Progress& progress, TimePoint now) {
  begun_at_ = progress.begun_at;
  code_ = progress.code;
  terms_ = progress.terms;
  ShutdownOrders orders;
  switch (progress.stage) {
    case Stage::serving:
    case Stage::count_: break;
    case Stage::delaying:
    case Stage::closing:
    case Stage::quieting: return begin_draining(now);
    case Stage::stopping:
    case Stage::ended:
      orders = stop_workers(terms_ < 2, std::max(now, kill_end()));
      orders.drain_proxy = true;
      orders.close_listeners = true;
      break;
  }
  return orders;
}

ShutdownOrders ShutdownPlan::on_term(TimePoint now) {
  terms_++;
  if (stage_ == Stage::ended) return {};
  if (terms_ >= 3) return stop_workers(false, now);
  if (terms_ == 2) return stop_workers(false, std::max(now, kill_end()));
  if (stage_ != Stage::serving) return {};
  begun_at_ = now;
  ShutdownOrders orders;
  if (rules_.delay > Duration::zero()) {
    stage_ = Stage::delaying;
    stage_end_ = std::min(now + rules_.delay, drain_end());
  } else {
    orders = begin_draining(now);
  }
  orders.announce = true;
  return orders;
}

ShutdownOrders ShutdownPlan::on_quit(ExitCode code, TimePoint now) {
  if (stage_ == Stage::ended) return {};
  if (stage_ == Stage::serving) begun_at_ = now;
  code_ = code;
  ShutdownOrders orders = stop_workers(false, now + kQuickGrace);
  orders.announce = true;
  orders.close_listeners = true;
  return orders;
}

ShutdownOrders ShutdownPlan::begin_draining(TimePoint now) {
  stage_ = Stage::closing;
  stage_end_ = std::min(now + kAppliedPatience, drain_end());
  ShutdownOrders orders;
  orders.drain_proxy = true;
  return orders;
}

ShutdownOrders ShutdownPlan::on_proxy_draining(TimePoint) {
  if (stage_ != Stage::closing) return {};
  stage_ = Stage::quieting;
  stage_end_ = drain_end();
  ShutdownOrders orders;
  orders.close_listeners = true;
  return orders;
}

ShutdownOrders ShutdownPlan::on_proxy_quiet(TimePoint) {
  if (stage_ != Stage::closing && stage_ != Stage::quieting) return {};
  // Nothing is in flight; a drain of each worker now only closes what the proxy still has pooled.
  ShutdownOrders orders = stop_workers(true, kill_end());
  orders.close_listeners = true;
  return orders;
}

ShutdownOrders ShutdownPlan::on_deadline(TimePoint now) {
  auto when = deadline();
  if (!when || now < *when) return {};
  switch (stage_) {
    case Stage::delaying: return begin_draining(now);
    case Stage::closing: return on_proxy_draining(now);
    case Stage::quieting: return stop_workers(false, kill_end());
    case Stage::serving:
    case Stage::stopping:
    case Stage::ended:
    case Stage::count_: break;
  }
  return {};
}

ShutdownOrders ShutdownPlan::on_all_stopped() {
  if (stage_ != Stage::stopping) return {};
  stage_ = Stage::ended;
  ShutdownOrders orders;
  orders.end = true;
  return orders;
}

ShutdownOrders ShutdownPlan::stop_workers(bool drain, TimePoint kill_by) {
  stage_ = Stage::stopping;
  Desired desired;
  desired.run = false;
  desired.drain = drain;
  desired.drain_by = drain_end();
  desired.kill_by = kill_by;
  ShutdownOrders orders;
  orders.workers = desired;
  return orders;
}

}  // namespace rota::supervisor
