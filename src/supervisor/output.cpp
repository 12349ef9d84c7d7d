#include "rota/supervisor/output.h"

#include <cerrno>

#include "rota/sys/socket.h"

namespace rota::supervisor {

namespace {

constexpr std::size_t kCatchUpReads = 64;  // a full pipe of 1 MiB

}  // namespace

WorkerOutput::WorkerOutput(uv::Loop& loop, WorkerTag tag, UniqueFd standard_output, UniqueFd standard_error,
                           std::shared_ptr<WorkerLog> log, std::shared_ptr<LastLines> last_lines, sys::PipePeek& peek,
                           WorkerOutputListener& listener)
    : loop_(loop),
      tag_(std::move(tag)),
      log_(std::move(log)),
      last_lines_(std::move(last_lines)),
      peek_(peek),
      listener_(listener) {
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
  std::span<char> scratch = loop_.scratch().first(kOutputReadMax);
  bool taken = false;
  ssize_t n = peek_.peek(pipe.fd.get(), scratch, taken);
  if (n < 0 && errno == EAGAIN) return false;
  if (n <= 0) {
    end(pipe);
    return false;
  }
  pipe.lines.feed({scratch.data(), static_cast<std::size_t>(n)},
                  [&](std::string_view line, bool continues) { show(pipe, line, continues); });
  log_->flush(&pipe);
  if (!taken) sys::PipePeek::take(pipe.fd.get(), static_cast<std::size_t>(n), scratch);
  return true;
}

void WorkerOutput::end(Pipe& pipe) {
  pipe.ended = true;
  pipe.lines.flush([&](std::string_view line, bool) { show(pipe, line, false); });
  log_->flush(&pipe);
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
  log_->write_line(tag_, pipe.kind, line, continues, &pipe);
}

}  // namespace rota::supervisor
