#include "rota/supervisor/output.h"

#include <fmt/format.h>
#include <limits.h>
#include <poll.h>
#include <unistd.h>

#include <cerrno>

#include "rota/sys/socket.h"

namespace rota::supervisor {

namespace {

constexpr std::size_t kCatchUpReads = 16;  // of the loop's scratch buffer each: a full pipe of 1 MiB

}  // namespace

// A pipe that is writable takes PIPE_BUF bytes without waiting, whatever its other writers do between the two calls in
// the worst case; a non-blocking stderr is not ours to set, since its description is shared with whoever started us.
bool OutputSink::writable() const {
  pollfd poll_fd{settings_.fd, POLLOUT, 0};
  return ::poll(&poll_fd, 1, 0) == 1 && (poll_fd.revents & POLLOUT) != 0;
}

bool OutputSink::send(std::string_view bytes) {
  while (!bytes.empty()) {
    if (!writable()) return false;
    ssize_t n = ::write(settings_.fd, bytes.data(), std::min<std::size_t>(bytes.size(), PIPE_BUF));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(n));
  }
  return true;
}

void OutputSink::write_line(std::string_view label, OutputKind kind, std::string_view line, bool continues) {
  if (dropped_ > 0) {
    std::string note = fmt::format("{}rota | {} lines of worker output were dropped: stderr was not read\n",
                                   settings_.journald_prefix ? "<4>" : "", dropped_);
    if (!send(note)) {
      dropped_++;
      return;
    }
    dropped_ = 0;
  }
  line_.clear();
  if (settings_.journald_prefix) line_ += kind == OutputKind::standard_error ? "<4>" : "<6>";
  line_ += label;
  line_ += " | ";
  append_shown(line_, line, settings_.colours);
  if (continues) line_ += " [line continues]";
  line_ += '\n';
  if (!send(line_)) dropped_++;
}

WorkerOutput::WorkerOutput(uv::Loop& loop, std::string label, UniqueFd standard_output, UniqueFd standard_error,
                           OutputSink& sink, std::shared_ptr<LastLines> last_lines, WorkerOutputListener& listener)
    : loop_(loop), label_(std::move(label)), sink_(sink), last_lines_(std::move(last_lines)), listener_(listener) {
  open(out_, std::move(standard_output), OutputKind::standard_output);
  open(err_, std::move(standard_error), OutputKind::standard_error);
}

WorkerOutput::~WorkerOutput() { close(); }

void WorkerOutput::open(Pipe& pipe, UniqueFd fd, OutputKind kind) {
  pipe.kind = kind;
  pipe.fd = std::move(fd);
  if (!pipe.fd || !sys::set_nonblocking(pipe.fd.get(), true)) {
    pipe.ended = true;
    return;
  }
  pipe.watcher = std::make_unique<uv::FdWatcher>(loop_, pipe.fd.get(), static_cast<uv::FdListener&>(*this));
  pipe.watcher->start();
}

bool WorkerOutput::read_once(Pipe& pipe) {
  if (pipe.ended) return false;
  std::span<char> scratch = loop_.scratch();
  ssize_t n = 0;
  do {
    n = ::read(pipe.fd.get(), scratch.data(), scratch.size());
  } while (n < 0 && errno == EINTR);
  if (n < 0 && errno == EAGAIN) return false;
  if (n <= 0) {
    end(pipe);
    return false;
  }
  pipe.lines.feed({scratch.data(), static_cast<std::size_t>(n)},
                  [&](std::string_view line, bool continues) { show(pipe, line, continues); });
  return true;
}

void WorkerOutput::end(Pipe& pipe) {
  pipe.ended = true;
  pipe.lines.flush([&](std::string_view line, bool) { show(pipe, line, false); });
  if (pipe.watcher) pipe.watcher->stop();
}

// One read per call: level-triggered, so a loud worker comes round again after everybody else.
void WorkerOutput::on_readable(uv::FdWatcher& watcher) {
  bool was_ended = ended();
  read_once(&watcher == out_.watcher.get() ? out_ : err_);
  if (ended() && !was_ended) listener_.on_output_ended(*this);
}

void WorkerOutput::catch_up() {
  for (Pipe* pipe : {&out_, &err_}) {
    for (std::size_t i = 0; i < kCatchUpReads && read_once(*pipe); i++) {
    }
  }
}

void WorkerOutput::close() {
  for (Pipe* pipe : {&out_, &err_}) {
    if (!pipe->ended) end(*pipe);
    pipe->watcher.reset();
    pipe->fd.reset();
  }
}

void WorkerOutput::show(const Pipe& pipe, std::string_view line, bool continues) {
  if (pipe.kind == OutputKind::standard_error) last_lines_->add(line);
  sink_.write_line(label_, pipe.kind, line, continues);
}

}  // namespace rota::supervisor
