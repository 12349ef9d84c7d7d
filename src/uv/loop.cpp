#include "rota/uv/loop.h"

#include <uv.h>

#include <cstdlib>
#include <cstring>
#include <vector>

#include "rota/base/check.h"
#include "rota/base/exit_code.h"
#include "rota/base/log.h"
#include "rota/uv/ready_set.h"

namespace rota::uv {

struct Loop::Parts {
  ReadySet connections;
  std::vector<std::unique_ptr<Retirable>> retired;
  std::vector<std::unique_ptr<Retirable>> dying;  // swapped with the above, so that both keep their memory
  IntrusiveList<Deferred> deferred;
  bool stopped = false;

  bool has_work() const { return !retired.empty() || !deferred.empty(); }
  // What this causes to be retired or deferred waits for the next turn.
  void work() {
    IntrusiveList<Deferred> now;
    while (!deferred.empty()) now.push_back(deferred.pop_front());
    while (!now.empty()) now.pop_front().run_deferred();
    dying.swap(retired);
    dying.clear();
  }
};

namespace {

// Nothing goes without a loop. Whoever has started this process tries again, or tells why not.
[[noreturn]] void cannot_start(const std::string& label, int error) {
  log::error("cannot start: no event loop {}: {}", label, ::strerrordesc_np(error));
  std::_Exit(static_cast<int>(ExitCode::os));
}

}  // namespace

Loop::Loop(std::string label)
    : label_(std::move(label)),
      loop_(std::make_unique<uv_loop_s>()),
      scratch_(std::make_unique<char[]>(kScratchBytes)) {
  if (int error = uv_loop_init(loop_.get()); error != 0) cannot_start(label_, -error);
  parts_ = std::make_unique<Parts>();
  if (int error = parts_->connections.open(uv_backend_fd(loop_.get())); error != 0) cannot_start(label_, error);
}

Loop::~Loop() {
  while (parts_->has_work()) parts_->work();
  if (parts_->connections.size() > 0) log::error("loop {}: a connection was left open", label_);
  uv_walk(
      loop_.get(),
      [](uv_handle_t* handle, void* self) {
        if (uv_is_closing(handle) != 0) return;
        log::error("loop {}: a handle of type {} was left open", static_cast<Loop*>(self)->label_,
                   uv_handle_type_name(handle->type));
      },
      this);
  uv_run(loop_.get(), UV_RUN_NOWAIT);
  uv_run(loop_.get(), UV_RUN_NOWAIT);
  ROTA_CHECK(uv_loop_close(loop_.get()) == 0);
}

void Loop::run() {
  while (!parts_->stopped && alive()) turn(patience());
  parts_->stopped = false;
}

void Loop::turn(int patience) {
  const bool uv_ready = parts_->connections.wait(patience);
  uv_update_time(loop_.get());
  parts_->connections.dispatch();
  // Zero: a timer is due, a handle is to be closed, or libuv has yet to tell the kernel of one.
  if (uv_ready || uv_backend_timeout(loop_.get()) == 0) {
    uv_run(loop_.get(), UV_RUN_NOWAIT);
    if (!parts_->deferred.empty()) catch_up();
  }
  parts_->work();
}

// libuv looks later than the connections were looked at, so that its callbacks may have heard of an event whose traces
// on connections are still to be seen.
void Loop::catch_up() {
  constexpr int kBatchesMax = 64;  // those that are always ready do not end
  ReadySet& connections = parts_->connections;
  for (int i = 0; i < kBatchesMax; i++) {
    connections.wait(0);
    connections.dispatch();
    if (!connections.full()) return;
  }
}

bool Loop::alive() const {
  return parts_->has_work() || parts_->connections.size() > 0 || uv_loop_alive(loop_.get()) != 0;
}

int Loop::patience() const {
  if (parts_->has_work()) return 0;
  return uv_loop_alive(loop_.get()) != 0 ? uv_backend_timeout(loop_.get()) : -1;
}

void Loop::stop() { parts_->stopped = true; }

ReadySet& Loop::connections() { return parts_->connections; }

bool Loop::run_once() {
  turn(0);
  return patience() == 0;
}

int Loop::descriptor() const { return parts_->connections.descriptor(); }

TimePoint Loop::now() const {
  if (held_time_) return *held_time_;
  // libuv's clock is CLOCK_MONOTONIC in milliseconds, as steady_clock's is in nanoseconds.
  return TimePoint(std::chrono::milliseconds(uv_now(loop_.get())));
}

std::span<char> Loop::scratch() { return {scratch_.get(), kScratchBytes}; }

void Loop::retire(std::unique_ptr<Retirable> object) { parts_->retired.push_back(std::move(object)); }

void Loop::defer(Deferred& work) {
  if (work.linked()) return;
  parts_->deferred.push_back(work);
}

}  // namespace rota::uv
