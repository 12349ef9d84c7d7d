#include "rota/uv/loop.h"

#include <uv.h>

#include <vector>

#include "rota/base/check.h"
#include "rota/base/log.h"

namespace rota::uv {

// The check handle runs after every poll and frees what was retired. While something waits there the idle handle is
// active, which keeps that poll from blocking.
struct Loop::Parts {
  uv_check_t check{};
  uv_idle_t idle{};
  std::vector<std::unique_ptr<Retirable>> retired;
  std::vector<std::unique_ptr<Retirable>> dying;  // swapped with the above, so that both keep their memory
  IntrusiveList<Deferred> deferred;

  // Keeps the next poll from blocking.
  void stay_awake() {
    uv_idle_start(&idle, [](uv_idle_t*) noexcept {});
  }
  // What this causes to be retired or deferred waits for the next turn.
  void run() {
    IntrusiveList<Deferred> now;
    while (!deferred.empty()) now.push_back(deferred.pop_front());
    while (!now.empty()) now.pop_front().run_deferred();
    dying.swap(retired);
    dying.clear();
    if (retired.empty() && deferred.empty()) uv_idle_stop(&idle);
  }
};

Loop::Loop(std::string label)
    : label_(std::move(label)),
      loop_(std::make_unique<uv_loop_s>()),
      scratch_(std::make_unique<char[]>(kScratchBytes)),
      parts_(std::make_unique<Parts>()) {
  ROTA_CHECK(uv_loop_init(loop_.get()) == 0);
  ROTA_CHECK(uv_check_init(loop_.get(), &parts_->check) == 0);
  ROTA_CHECK(uv_idle_init(loop_.get(), &parts_->idle) == 0);
  parts_->check.data = parts_.get();
  uv_check_start(&parts_->check, [](uv_check_t* handle) noexcept { static_cast<Parts*>(handle->data)->run(); });
  // Neither keeps run() alive: stop() ends it.
  uv_unref(reinterpret_cast<uv_handle_t*>(&parts_->check));
}

Loop::~Loop() {
  while (!parts_->retired.empty() || !parts_->deferred.empty()) parts_->run();
  uv_close(reinterpret_cast<uv_handle_t*>(&parts_->check), nullptr);
  uv_close(reinterpret_cast<uv_handle_t*>(&parts_->idle), nullptr);
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

void Loop::run() { uv_run(loop_.get(), UV_RUN_DEFAULT); }

void Loop::stop() { uv_stop(loop_.get()); }

bool Loop::run_once() {
  uv_run(loop_.get(), UV_RUN_NOWAIT);
  // A loop without an active handle has nothing to wait for either, and says 0.
  return uv_loop_alive(loop_.get()) != 0 && uv_backend_timeout(loop_.get()) == 0;
}

int Loop::descriptor() const { return uv_backend_fd(loop_.get()); }

TimePoint Loop::now() const {
  if (held_time_) return *held_time_;
  // libuv's clock is CLOCK_MONOTONIC in milliseconds, as steady_clock's is in nanoseconds.
  return TimePoint(std::chrono::milliseconds(uv_now(loop_.get())));
}

std::span<char> Loop::scratch() { return {scratch_.get(), kScratchBytes}; }

void Loop::retire(std::unique_ptr<Retirable> object) {
  parts_->stay_awake();
  parts_->retired.push_back(std::move(object));
}

void Loop::defer(Deferred& work) {
  if (work.linked()) return;
  parts_->deferred.push_back(work);
  parts_->stay_awake();
}

}  // namespace rota::uv
