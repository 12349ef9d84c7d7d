#include "rota/uv/handles.h"

#include <uv.h>

#include "rota/base/check.h"
#include "rota/uv/loop.h"

namespace rota::uv {

template <class Raw>
void CloseLater<Raw>::operator()(Raw* raw) const noexcept {
  raw->data = nullptr;  // the owner is gone: trampolines now do nothing
  uv_close(reinterpret_cast<uv_handle_t*>(raw), [](uv_handle_t* handle) { delete reinterpret_cast<Raw*>(handle); });
}
template struct CloseLater<uv_timer_s>;
template struct CloseLater<uv_poll_s>;
template struct CloseLater<uv_async_s>;

namespace {

// init(raw) sets the handle up; only then may it be closed, so only then does it enter its cell.
template <class Raw, class Init>
Cell<Raw> make_cell(void* owner, Init init) {
  auto raw = std::make_unique<Raw>();
  ROTA_CHECK(init(raw.get()) == 0);
  raw->data = owner;
  return Cell<Raw>(raw.release());
}

std::uint64_t milliseconds(Duration duration) {
  return duration.count() > 0 ? static_cast<std::uint64_t>(duration.count()) : 0;
}

}  // namespace

Timer::Timer(Loop& loop, TimerListener& listener)
    : listener_(listener),
      raw_(make_cell<uv_timer_t>(this, [&](uv_timer_t* raw) { return uv_timer_init(loop.raw(), raw); })) {}

void Timer::start(Duration after, Duration repeat) {
  auto fired = [](uv_timer_t* raw) noexcept {
    if (auto* self = static_cast<Timer*>(raw->data)) self->listener_.on_timer(*self);
  };
  ROTA_CHECK(uv_timer_start(raw_.get(), fired, milliseconds(after), milliseconds(repeat)) == 0);
}

void Timer::stop() { uv_timer_stop(raw_.get()); }

bool Timer::active() const { return uv_is_active(reinterpret_cast<const uv_handle_t*>(raw_.get())) != 0; }

FdWatcher::FdWatcher(Loop& loop, int fd, FdListener& listener)
    : listener_(listener),
      fd_(fd),
      raw_(make_cell<uv_poll_t>(this, [&](uv_poll_t* raw) { return uv_poll_init(loop.raw(), raw, fd); })) {}

void FdWatcher::start() {
  auto ready = [](uv_poll_t* raw, int, int) noexcept {
    if (auto* self = static_cast<FdWatcher*>(raw->data)) self->listener_.on_readable(*self);
  };
  ROTA_CHECK(uv_poll_start(raw_.get(), UV_READABLE | UV_DISCONNECT, ready) == 0);
}

void FdWatcher::stop() { uv_poll_stop(raw_.get()); }

Wakeup::Wakeup(Loop& loop, WakeupListener& listener)
    : listener_(listener), raw_(make_cell<uv_async_t>(this, [&](uv_async_t* raw) {
        return uv_async_init(loop.raw(), raw, [](uv_async_t* handle) noexcept {
          if (auto* self = static_cast<Wakeup*>(handle->data)) self->listener_.on_wakeup(*self);
        });
      })) {}

void Wakeup::wake() { uv_async_send(raw_.get()); }

}  // namespace rota::uv
