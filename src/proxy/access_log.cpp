#include "rota/proxy/access_log.h"

#include <fmt/format.h>
#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <iterator>

#include "rota/base/json.h"
#include "rota/sys/append.h"

namespace rota::proxy {

namespace {

void append_key(std::string& out, std::string_view key) {
  out += ",\"";
  out += key;
  out += "\":";
}

void append_text(std::string& out, std::string_view key, std::string_view value) {
  if (value.empty()) return;
  append_key(out, key);
  append_json_string(out, value);
}

template <class T>
void append_number(std::string& out, std::string_view key, T value) {
  append_key(out, key);
  fmt::format_to(std::back_inserter(out), "{}", value);
}

void append_milliseconds(std::string& out, std::string_view key, double value) {
  append_key(out, key);
  fmt::format_to(std::back_inserter(out), "{:.3f}", value);
}

}  // namespace

void append_access_line(std::string& out, const AccessRecord& record) {
  out += "{\"time\":\"";
  append_utc_time(out, record.time_ms);
  out += '"';
  append_text(out, "client", record.client);
  append_text(out, "request_id", record.request_id);
  append_text(out, "method", record.method);
  append_text(out, "host", record.host);
  append_text(out, "target", record.target);
  append_number(out, "status", record.status);
  append_number(out, "bytes_sent", record.bytes_sent);
  append_number(out, "bytes_received", record.bytes_received);
  append_text(out, "app", record.app);
  if (record.slot >= 0) append_number(out, "slot", record.slot);
  append_text(out, "upstream", record.upstream);
  append_milliseconds(out, "total_ms", record.total_ms);
  append_milliseconds(out, "queue_ms", record.queue_ms);
  append_milliseconds(out, "connect_ms", record.connect_ms);
  if (record.first_byte_ms >= 0) append_milliseconds(out, "first_byte_ms", record.first_byte_ms);
  append_number(out, "retries", record.retries);
  append_text(out, "outcome", record.outcome);
  append_text(out, "reason", record.reason);
  append_text(out, "user_agent", record.user_agent);
  append_text(out, "referer", record.referer);
  out += "}\n";
}

LogWriter::LogWriter() : thread_([this] { work(); }) {}

LogWriter::~LogWriter() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_one();
  thread_.join();
}

void LogWriter::use(UniqueFd fd) {
  std::lock_guard lock(mutex_);
  next_fd_ = std::move(fd);
  next_fd_set_ = true;
  wake_.notify_one();
}

void LogWriter::hand_over(std::string& lines) {
  {
    std::lock_guard lock(mutex_);
    if (pending_.size() + lines.size() > kPendingMax) {
      dropped_lines_ += static_cast<std::uint64_t>(std::count(lines.begin(), lines.end(), '\n'));
    } else {
      pending_ += lines;
    }
  }
  lines.clear();
  wake_.notify_one();
}

std::uint64_t LogWriter::dropped_lines() {
  std::lock_guard lock(mutex_);
  return dropped_lines_;
}

// A pipe that is full: its reader is waited for, but not for ever at the end.
bool LogWriter::wait_for_room() {
  while (true) {
    bool leaving = stopping_;
    pollfd room{fd_.get(), POLLOUT, 0};
    if (::poll(&room, 1, static_cast<int>(kLastPatience.count())) != 0) return true;
    if (leaving) return false;
  }
}

void LogWriter::work() {
  std::string batch;
  std::unique_lock lock(mutex_);
  while (true) {
    wake_.wait(lock, [this] { return stopping_ || next_fd_set_ || !pending_.empty(); });
    if (next_fd_set_) {
      fd_ = std::move(next_fd_);
      writer_ = NowaitWriter(fd_.get());
      torn_ = false;
      next_fd_set_ = false;
    }
    batch.swap(pending_);
    if (stopping_ && batch.empty()) return;
    lock.unlock();
    std::string_view rest = batch;
    if (torn_ && fd_) torn_ = writer_.write("\n").bytes != 1;
    while (!rest.empty() && fd_) {
      NowaitWriter::Written written = writer_.write(rest);
      rest.remove_prefix(written.bytes);
      if (written.error == EAGAIN) {
        if (wait_for_room()) continue;
        fd_.reset();
      } else if (written.error != 0) {
        // The disk is full. What it took of a line is taken back.
        torn_ = !sys::take_back_half_line(fd_.get(), std::string_view(batch).substr(0, batch.size() - rest.size()));
        break;
      }
    }
    std::uint64_t lost = static_cast<std::uint64_t>(std::count(rest.begin(), rest.end(), '\n'));
    batch.clear();
    lock.lock();
    dropped_lines_ += lost;
  }
}

}  // namespace rota::proxy
