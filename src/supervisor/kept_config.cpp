#include "rota/supervisor/kept_config.h"

#include <type_traits>

#include "rota/ipc/codec.h"

namespace rota::supervisor {

namespace {

// The last value of each enum: what a damaged byte is measured by.
constexpr config::Address::Kind last_of(config::Address::Kind) { return config::Address::Kind::unix_path; }
constexpr config::AccessLog::To last_of(config::AccessLog::To) { return config::AccessLog::To::file; }
constexpr config::Boot last_of(config::Boot) { return config::Boot::fail; }
constexpr config::Ready last_of(config::Ready) { return config::Ready::http; }
constexpr config::AppLog::Format last_of(config::AppLog::Format) { return config::AppLog::Format::passthrough; }
constexpr log::Level last_of(log::Level) { return log::Level::error; }
constexpr log::Format last_of(log::Format) { return log::Format::json; }

// One walk for both ways. Every struct is taken apart by name: a member that is added to it and not named here does not
// compile, so that none can be forgotten at a crash.
template <class Codec>
class Walk {
 public:
  explicit Walk(Codec& codec) : codec_(codec) {}
  bool sound() const { return sound_; }

  template <class... Values>
  void all(Values&... values) {
    (one(values), ...);
  }

 private:
  static constexpr bool kReads = std::is_same_v<Codec, ipc::Decoder>;

  // Numbers, texts, times, sizes, and enums.
  template <class T>
  void one(T& value) {
    if constexpr (std::is_enum_v<T>) {
      auto raw = static_cast<std::uint8_t>(value);
      codec_(raw);
      sound_ = sound_ && raw <= static_cast<std::uint8_t>(last_of(value));
      if (kReads && sound_) value = static_cast<T>(raw);
    } else {
      codec_(value);
    }
  }
  template <class T>
  void one(std::vector<T>& values) {
    auto count = static_cast<std::uint32_t>(values.size());
    codec_(count);
    if constexpr (kReads) {
      values.clear();
      for (std::uint32_t i = 0; i < count && codec_.ok() && sound_; i++) one(values.emplace_back());
    } else {
      for (T& value : values) one(value);
    }
  }
  template <class T>
  void one(std::optional<T>& value) {
    bool there = value.has_value();
    codec_(there);
    if (kReads && there) value.emplace();
    if (there) one(*value);
  }
  template <class A, class B>
  void one(std::pair<A, B>& value) {
    all(value.first, value.second);
  }

  void one(config::Address& s) {
    auto& [kind, host, port, path] = s;
    all(kind, host, port, path);
  }
  void one(config::Listener& s) {
    auto& [address, proxy_protocol] = s;
    all(address, proxy_protocol);
  }
  void one(config::Network& s) {
    auto& [address, prefix] = s;
    for (std::uint8_t& byte : address) one(byte);
    one(prefix);
  }
  void one(config::TrustedProxies& s) {
    auto& [networks, unix_peers] = s;
    all(networks, unix_peers);
  }
  void one(config::Timeouts& s) {
    auto& [header, body, idle, connect, write, tunnel, upstream_idle] = s;
    all(header, body, idle, connect, write, tunnel, upstream_idle);
  }
  void one(config::Limits& s) {
    auto& [head, fields, target, body, connections, connections_per_address] = s;
    all(head, fields, target, body, connections, connections_per_address);
  }
  void one(config::AccessLog& s) {
    auto& [to, path] = s;
    all(to, path);
  }
  void one(config::Shutdown& s) {
    auto& [delay, timeout] = s;
    all(delay, timeout);
  }
  void one(config::Health& s) {
    auto& [path, interval, timeout, unhealthy_after, healthy_after, repair_after] = s;
    all(path, interval, timeout, unhealthy_after, healthy_after, repair_after);
  }
  void one(config::Restart& s) {
    auto& [delay, max_delay, stable_after] = s;
    all(delay, max_delay, stable_after);
  }
  void one(config::Stop& s) {
    auto& [drain, signal, grace] = s;
    all(drain, signal, grace);
  }
  void one(config::Queue& s) {
    auto& [size, timeout] = s;
    all(size, timeout);
  }
  void one(config::Retry& s) {
    auto& [attempts, poison_after] = s;
    all(attempts, poison_after);
  }
  void one(config::AppTimeouts& s) {
    auto& [response, idle] = s;
    all(response, idle);
  }
  void one(config::Route& s) {
    auto& [host, path, listeners, text] = s;
    all(host, path, listeners, text);
  }
  void one(config::AppLog& s) {
    auto& [format, file, max_size, keep] = s;
    all(format, file, max_size, keep);
  }
  void one(config::ResourceLimit& s) {
    auto& [resource, value] = s;
    all(resource, value);
  }
  void one(config::Place& s) {
    auto& [line, column] = s;
    all(line, column);
  }
  void one(config::App& s) {
    auto& [name, place, command, directory, routes, user, group, umask, limits, oom_score_adj, env, workers,
           workers_auto, health, ready, start_timeout, restart, stop, queue, retry, timeouts, log, servers] = s;
    all(name, place, command, directory, routes, user, group, umask, limits, oom_score_adj, env, workers, workers_auto,
        health, ready, start_timeout, restart, stop, queue, retry, timeouts, log, servers);
  }
  void one(config::Config& s) {
    auto& [file, listen, threads, runtime_dir, user, timeouts, limits, access_log, trusted_proxies, log_level,
           log_format, shutdown, boot, apps] = s;
    all(file, listen, threads, runtime_dir, user, timeouts, limits, access_log, trusted_proxies, log_level, log_format,
        shutdown, boot, apps);
  }

  Codec& codec_;
  bool sound_ = true;
};

template <class T>
std::string encode(T value) {
  std::string bytes;
  ipc::Encoder encoder(bytes);
  encoder(kKeptConfigVersion);
  Walk(encoder).all(value);
  return bytes;
}

template <class T>
std::optional<T> decode(std::string_view bytes) {
  std::uint32_t version = 0;
  ipc::Decoder decoder(bytes);
  decoder(version);
  if (version != kKeptConfigVersion) return {};
  T value;
  Walk walk(decoder);
  walk.all(value);
  if (!walk.sound() || !decoder.complete()) return {};
  return value;
}

}  // namespace

std::string encode_config(config::Config config) { return encode(std::move(config)); }
std::string encode_app(config::App app) { return encode(std::move(app)); }
std::optional<config::Config> decode_config(std::string_view bytes) { return decode<config::Config>(bytes); }
std::optional<config::App> decode_app(std::string_view bytes) { return decode<config::App>(bytes); }

}  // namespace rota::supervisor
