// What workers print: read without ever letting a worker wait, tagged and written to rota's stderr without ever waiting
// for its reader. Knows pipes and lines; nothing of lifecycles.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "rota/base/unique_fd.h"
#include "rota/supervisor/lines.h"
#include "rota/uv/handles.h"
#include "rota/uv/loop.h"

namespace rota::supervisor {

enum class OutputKind : std::uint8_t { standard_output, standard_error };

// Writes whole lines to an fd as long as that takes them; what it does not take is dropped and counted.
class OutputSink {
 public:
  struct Settings {
    int fd = 2;
    bool journald_prefix = false;
    Colours colours = Colours::strip;
  };
  explicit OutputSink(const Settings& settings) : settings_(settings) {}
  void write_line(std::string_view label, OutputKind kind, std::string_view line, bool continues);

 private:
  bool writable() const;
  bool send(std::string_view bytes);

  Settings settings_;
  std::string line_;
  std::uint64_t dropped_ = 0;  // lines since the last one that was written
};

class WorkerOutput;
class WorkerOutputListener {
 public:
  // Both pipes have ended. The output may be retired, not destroyed, inside.
  virtual void on_output_ended(WorkerOutput& output) = 0;

 protected:
  ~WorkerOutputListener() = default;
};

// Both pipes of one spawn. Outlived by its sink and its listener.
class WorkerOutput final : public uv::Retirable, uv::FdListener {
 public:
  WorkerOutput(uv::Loop& loop, std::string label, UniqueFd standard_output, UniqueFd standard_error, OutputSink& sink,
               std::shared_ptr<LastLines> last_lines, WorkerOutputListener& listener);
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
  std::string label_;
  OutputSink& sink_;
  std::shared_ptr<LastLines> last_lines_;
  WorkerOutputListener& listener_;
  Pipe out_;
  Pipe err_;
};

}  // namespace rota::supervisor
