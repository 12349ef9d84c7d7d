// What workers print: read without ever letting a worker wait, a bounded amount in each turn of the loop, so that a
// loud worker delays nobody's checks, and taken from the pipe only when the log has it: the supervisor that comes after
// a killed one finds what that had not written. Knows pipes and lines; nothing of lifecycles, or of where the lines go
// (worker_log.h).
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

#include "rota/base/unique_fd.h"
#include "rota/supervisor/lines.h"
#include "rota/supervisor/worker_log.h"
#include "rota/sys/pipe_peek.h"
#include "rota/uv/handles.h"
#include "rota/uv/loop.h"

namespace rota::supervisor {

inline constexpr std::size_t kOutputReadMax = 16 * 1024;  // of one pipe in one turn

class WorkerOutput;
class WorkerOutputListener {
 public:
  // Both pipes have ended. The output may be retired, not destroyed, inside.
  virtual void on_output_ended(WorkerOutput& output) = 0;

 protected:
  ~WorkerOutputListener() = default;
};

// Both pipes of one spawn. Outlived by its listener.
class WorkerOutput final : public uv::Retirable, uv::FdListener {
 public:
  WorkerOutput(uv::Loop& loop, WorkerTag tag, UniqueFd standard_output, UniqueFd standard_error,
               std::shared_ptr<WorkerLog> log, std::shared_ptr<LastLines> last_lines, sys::PipePeek& peek,
               WorkerOutputListener& listener);
  ~WorkerOutput() override;

  bool ended() const { return out_.ended && err_.ended; }
  // Reads what is there now (a bounded amount): after an exit, so that the last words are known. Does not call the
  // listener.
  void catch_up();
  // Shows what has no line feed, reads no more and is silent.
  void close();

 private:
  struct Pipe {
    UniqueFd fd;
    OutputKind kind{};
    LineSplitter lines;
    bool ended = false;
    std::unique_ptr<uv::FdWatcher> watcher;  // declared last: gone before the fd is closed
  };
  void open(Pipe& pipe, UniqueFd fd, OutputKind kind);
  bool read_once(Pipe& pipe);  // false: nothing more for now, or ever
  void end(Pipe& pipe);
  void on_readable(uv::FdWatcher& watcher) override;
  void show(const Pipe& pipe, std::string_view line, bool continues);

  uv::Loop& loop_;
  WorkerTag tag_;
  std::shared_ptr<WorkerLog> log_;  // with WorkerLogs, which changes it at a reload
  std::shared_ptr<LastLines> last_lines_;
  sys::PipePeek& peek_;
  WorkerOutputListener& listener_;
  Pipe out_;
  Pipe err_;
};

}  // namespace rota::supervisor
