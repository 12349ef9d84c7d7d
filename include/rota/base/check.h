// ROTA_CHECK: an always-on assertion for our own mistakes. What a peer, a user or the system does wrong is never a
// CHECK. A failed check prints where and what to stderr and aborts; the role above restarts the process.
#pragma once

namespace rota {

[[noreturn]] void check_failed(const char* file, int line, const char* expression) noexcept;

}  // namespace rota

#define ROTA_CHECK(condition)                                               \
  (__builtin_expect(static_cast<bool>(condition), 1) ? static_cast<void>(0) \
                                                     : ::rota::check_failed(__FILE__, __LINE__, #condition))
