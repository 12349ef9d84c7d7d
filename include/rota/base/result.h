// Result<T>: a value or an Error, for everything that can fail for reasons outside this program.
// A subset of std::expected's names, so that it becomes an alias once the standard is raised.
// Knows nothing of logging, exit codes or HTTP.
#pragma once

#include <cerrno>
#include <optional>
#include <string>
#include <utility>
#include <variant>

#include "rota/base/check.h"

namespace rota {

// What a caller may want to branch on. Anything finer is in `sys`.
enum class Errc {
  invalid,      // an argument or input breaks its grammar
  not_found,    // no such file, user, program
  denied,       // the operating system refused for lack of permission
  in_use,       // an address, a lock, a path is taken
  limit,        // a named limit of ours would be passed
  closed,       // the peer is gone
  would_block,  // nothing to read or no room to write now
  protocol,     // a peer inside rota broke the channel's rules
  os,           // any other system call failure; see sys
};

// `sys` is an errno value or 0. `context` is one sentence without a full stop, fit to be shown to an operator.
struct Error {
  Errc code = Errc::os;
  int sys = 0;
  std::string context;

  // "context: strerror(sys)", or the context alone.
  std::string text() const;
};

// The error of the system call that just failed: the code follows from errno.
Error os_error(std::string context, int sys = errno);

template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::move(value)) {}      // NOLINT(google-explicit-constructor): like std::expected
  Result(Error error) : state_(std::move(error)) {}  // NOLINT(google-explicit-constructor)

  bool has_value() const { return std::holds_alternative<T>(state_); }
  explicit operator bool() const { return has_value(); }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T&& operator*() && { return std::move(value()); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }
  T& value() & {
    ROTA_CHECK(has_value());
    return *std::get_if<T>(&state_);
  }
  const T& value() const& {
    ROTA_CHECK(has_value());
    return *std::get_if<T>(&state_);
  }
  const Error& error() const {
    ROTA_CHECK(!has_value());
    return *std::get_if<Error>(&state_);
  }

 private:
  std::variant<T, Error> state_;
};

template <>
class [[nodiscard]] Result<void> {
 public:
  Result() = default;
  Result(Error error) : error_(std::move(error)) {}  // NOLINT(google-explicit-constructor)

  bool has_value() const { return !error_.has_value(); }
  explicit operator bool() const { return has_value(); }
  const Error& error() const {
    ROTA_CHECK(error_.has_value());
    return *error_;
  }

 private:
  std::optional<Error> error_;
};

}  // namespace rota
