#include "rota/supervisor/worker_log.h"

#include <fmt/format.h>
#include <limits.h>

#include <algorithm>
#include <utility>

#include "rota/base/log.h"
#include "rota/sys/file_id.h"

namespace rota::supervisor {

bool SharedStream::tell_dropped() {
  if (!rest_.empty()) {
    rest_.erase(0, send(rest_));
    if (!rest_.empty()) return false;
  }
  if (dropped_ == 0) return true;
  std::string note = log::line_of(log::Level::warning,
                                  fmt::format("{} lines of worker output were dropped: stderr was not read", dropped_));
  note += '\n';
  if (unfinished_ != nullptr) note.insert(0, 1, '\n');
  if (std::size_t sent = send(note); sent < note.size()) {
    if (sent == 0) return false;
    rest_ = note.substr(sent);
    dropped_ = 0;
    unfinished_ = nullptr;
    return false;
  }
  dropped_ = 0;
  unfinished_ = nullptr;
  return true;
}

// Whole lines leave in pieces of at most PIPE_BUF bytes, which a pipe does not mix with those of other processes.
void SharedStream::put(std::string_view lines, const void* stream) {
  bool room = tell_dropped();
  if (room && unfinished_ != nullptr && unfinished_ != stream) room = send("\n") == 1;
  while (room && !lines.empty()) {
    std::string_view piece = lines.substr(0, PIPE_BUF);
    std::size_t end = lines.size() <= PIPE_BUF ? lines.size() : piece.rfind('\n') + 1;
    if (end == 0) end = std::min(lines.find('\n'), lines.size() - 1) + 1;
    std::size_t sent = send(lines.substr(0, end));
    room = sent == end;
    if (sent > 0) {  // what was begun goes on when there is room
      unfinished_ = lines[end - 1] == '\n' ? nullptr : stream;
      rest_ = lines.substr(sent, end - sent);
      lines.remove_prefix(end);
    }
  }
  dropped_ += static_cast<std::uint64_t>(std::count(lines.begin(), lines.end(), '\n'));
  if (!lines.empty() && unfinished_ == stream) unfinished_ = this;  // the line that was begun stays without its end
}

void WorkerLog::change(const LineStyle& style, std::shared_ptr<LineTarget> target, bool beside_the_log) {
  style_ = style;
  target_ = std::move(target);
  beside_the_log_ = beside_the_log;
}

void WorkerLog::write_line(const WorkerTag& tag, OutputKind kind, std::string_view line, bool continues,
                           const void* stream) {
  append_worker_line(batch_, style_, tag, kind, line, continues, unix_milliseconds());
  if (batch_.size() >= kBatchMax) flush(stream);
}

void WorkerLog::flush(const void* stream) {
  target_->put(batch_, stream);
  batch_.clear();
}

WorkerLogs::WorkerLogs(const Settings& settings)
    : settings_(settings), stderr_(std::make_shared<SharedStream>(settings.fd)) {}

// A disk that hangs holds up the end of rota no longer than that, however many files are on it.
WorkerLogs::~WorkerLogs() {
  for (const auto& [path, writer] : writers_) writer->stop();
  for (const auto& left : left_) {
    if (auto writer = left.lock()) writer->stop();
  }
  static_cast<void>(threads_->wait(kLastPatience));
}

LineStyle WorkerLogs::style_of(const config::AppLog& log) const {
  if (!log.file.empty()) return {log.format, Colours::strip, false, true};
  return {log.format, settings_.colours, settings_.journald_prefix, false};
}

Failure WorkerLogs::open_file(const config::App& app, bool anyway, Writers& writers) {
  const config::AppLog& wanted = app.log;
  if (wanted.file.empty() || writers.contains(wanted.file)) return {};
  if (auto known = writers_.find(wanted.file); known != writers_.end()) {
    writers.insert(*known);
    return {};
  }
  LogFile file(wanted.file, {wanted.max_size, wanted.keep});
  if (auto opened = file.open(); !opened) {
    std::string text = fmt::format(
        "the log file of app {} cannot be opened ({}): check its directory and permissions, "
        "or name another file",
        app.name, opened.error().text());
    if (!anyway) {
      return StartFailure{opened.error().code == Errc::denied ? ExitCode::not_permitted : ExitCode::cannot_create,
                          std::move(text)};
    }
    log::error("{}", text);
  }
  writers[wanted.file] =
      std::make_shared<LogWriter>(std::move(file), "the log of app " + app.name, wanted.file, threads_);
  return {};
}

// The configuration was checked, but links may have changed since, and one may lead to a file that was not there then.
Failure WorkerLogs::find_shared_file(const std::vector<config::App>& apps, const config::AccessLog& access_log) {
  std::map<sys::FileId, std::string> owners;
  if (access_log.to == config::AccessLog::To::file) {
    if (auto id = sys::file_id(access_log.path)) owners[*id] = "the access log " + access_log.path;
  }
  for (const config::App& app : apps) {
    if (app.log.file.empty()) continue;
    auto id = sys::file_id(app.log.file);
    if (!id) continue;
    auto [owner, is_first] = owners.emplace(*id, fmt::format("the log of app {} ({})", app.name, app.log.file));
    if (is_first) continue;
    return StartFailure{ExitCode::configuration,
                        fmt::format("the log file {} of app {} and {} are one and the same file: each needs a file of "
                                    "its own",
                                    app.log.file, app.name, owner->second)};
  }
  return {};
}

Failure WorkerLogs::use(const std::vector<config::App>& apps, const config::AccessLog& access_log, bool anyway) {
  Writers writers;
  for (const config::App& app : apps) {
    if (Failure failure = open_file(app, anyway, writers)) return failure;
  }
  if (Failure failure = find_shared_file(apps, access_log)) {
    if (!anyway) return failure;
    log::error("{}", failure->text);
  }
  for (const auto& [path, writer] : writers_) {
    if (!writers.contains(path)) left_.push_back(writer);
  }
  writers_ = std::move(writers);
  forget_unused();
  for (const config::App& app : apps) {
    std::shared_ptr<LineTarget> target = stderr_;
    if (!app.log.file.empty()) {
      writers_[app.log.file]->set_limits({app.log.max_size, app.log.keep});
      target = writers_[app.log.file];
    }
    std::shared_ptr<WorkerLog>& log = logs_[app.name];
    if (log) {
      log->change(style_of(app.log), std::move(target), app.log.file.empty());
    } else {
      log = std::make_shared<WorkerLog>(style_of(app.log), std::move(target), app.log.file.empty());
    }
  }
  return {};
}

void WorkerLogs::forget_unused() {
  std::erase_if(logs_, [](const auto& entry) { return entry.second.use_count() == 1; });
  std::erase_if(left_, [](const auto& writer) { return writer.expired(); });
}

std::shared_ptr<WorkerLog> WorkerLogs::of(const std::string& app) {
  std::shared_ptr<WorkerLog>& log = logs_[app];
  if (!log) log = std::make_shared<WorkerLog>(style_of({}), stderr_, true);
  return log;
}

bool WorkerLogs::open_again() {
  for (const auto& [path, writer] : writers_) writer->open_again();
  return !writers_.empty();
}

}  // namespace rota::supervisor
