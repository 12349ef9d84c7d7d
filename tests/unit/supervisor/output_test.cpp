#include "rota/supervisor/output.h"

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <array>
#include <catch2/catch_test_macros.hpp>
#include <functional>
#include <vector>

using namespace rota;
using namespace rota::supervisor;

namespace {

std::vector<std::string> split(const std::string& bytes, std::size_t chunk, bool flush = true) {
  LineSplitter splitter;
  std::vector<std::string> lines;
  auto emit = [&](std::string_view line, bool continues) {
    lines.push_back(std::string(line) + (continues ? "+" : ""));
  };
  for (std::size_t i = 0; i < bytes.size(); i += chunk) splitter.feed(std::string_view(bytes).substr(i, chunk), emit);
  if (flush) splitter.flush(emit);
  return lines;
}
std::string shown(std::string_view line, Colours colours) {
  std::string out;
  append_shown(out, line, colours);
  return out;
}
struct PipePair {
  UniqueFd read;
  UniqueFd write;
};
PipePair make_pipe() {
  std::array<int, 2> fds{};
  REQUIRE(::pipe2(fds.data(), O_CLOEXEC) == 0);
  return {UniqueFd(fds[0]), UniqueFd(fds[1])};
}
WorkerTag tag(std::uint32_t slot) { return {"web", slot, 4711}; }
config::App app_with(config::AppLog::Format format, const std::string& file = {}) {
  config::App app;
  app.name = "web";
  app.log.format = format;
  app.log.file = file;
  return app;
}
std::string line_in(const LineStyle& style, std::string_view line, bool continues = false,
                    OutputKind kind = OutputKind::standard_error) {
  std::string out;
  append_worker_line(out, style, tag(3), kind, line, continues, 1'700'000'000'042);
  return out;
}
std::string read_some(int fd) {
  std::array<char, 8192> buffer{};
  ssize_t n = ::read(fd, buffer.data(), buffer.size());
  return n > 0 ? std::string(buffer.data(), static_cast<std::size_t>(n)) : std::string();
}

}  // namespace

TEST_CASE("lines are the same however the reads were cut") {
  std::string bytes = "one\ntwo\r\n\nthree \tand\nno end";
  std::vector<std::string> expected = {"one", "two\r", "", "three \tand", "no end+"};
  for (std::size_t chunk = 1; chunk <= bytes.size(); chunk++) REQUIRE(split(bytes, chunk) == expected);
}

TEST_CASE("a line longer than the limit comes in marked pieces of bounded size") {
  for (std::size_t chunk : {std::size_t{1}, std::size_t{4096}, kOutputLineMax, std::size_t{100'000}}) {
    std::string exact(kOutputLineMax, 'x');
    REQUIRE(split(exact + "\n", chunk) == std::vector<std::string>{exact});
    REQUIRE(split(exact + "y\n", chunk) == std::vector<std::string>{exact + "+", "y"});
  }
}

TEST_CASE("nothing a worker prints can steer a terminal or forge a line") {
  REQUIRE(shown("a\tb", Colours::pass) == "a\tb");
  REQUIRE(shown("\x1b[1;31mred\x1b[0m", Colours::pass) == "\x1b[1;31mred\x1b[0m");
  REQUIRE(shown("\x1b[1;31mred\x1b[0m", Colours::strip) == "red");
  REQUIRE(shown("\x1b[2Jx", Colours::pass) == "\\x1b[2Jx");
  REQUIRE(shown("\x1b]0;title\x07", Colours::pass) == "\\x1b]0;title\\x07");
  REQUIRE(shown("\x1b[31", Colours::pass) == "\\x1b[31");
  REQUIRE(shown("a\rb\x7f", Colours::strip) == "a\\x0db\\x7f");
  REQUIRE(shown("gr\xc3\xbc\xc3\x9f", Colours::strip) == "gr\xc3\xbc\xc3\x9f");
}

TEST_CASE("the last lines are the last ones, each bounded") {
  LastLines last;
  for (int i = 0; i < 30; i++) last.add("line " + std::to_string(i));
  REQUIRE(last.all().size() == kLastLinesMax);
  REQUIRE(last.all().front() == "line 10");
  last.add(std::string(5000, 'x'));
  REQUIRE(last.all().back().size() == kLastLineBytesMax + 4);
}

TEST_CASE("a line that is too long is not cut inside a character") {
  std::string start(kOutputLineMax - 1, 'x');
  for (std::size_t chunk : {std::size_t{1}, std::size_t{100'000}}) {
    REQUIRE(split(start + "\xe2\x82\xac\n", chunk) == std::vector<std::string>{start + "+", "\xe2\x82\xac"});
  }
}

TEST_CASE("control characters beyond ASCII do not reach a terminal either") {
  REQUIRE(shown("a\xc2\x9b"
                "2Jb",
                Colours::pass) == "a\\xc2\\x9b2Jb");
  REQUIRE(shown("\xc2\xa0", Colours::pass) == "\xc2\xa0");
}

TEST_CASE("a worker's line as text, with a stamp where nobody else gives one") {
  REQUIRE(line_in({}, "hello\r") == "web.3 | hello\n");
  LineStyle file;
  file.stamped = true;
  REQUIRE(line_in(file, "hello", true) == "2023-11-14T22:13:20.042Z web.3 stderr | hello [line continues]\n");
  LineStyle journal;
  journal.journald_prefix = true;
  REQUIRE(line_in(journal, "hello") == "<4>web.3 | hello\n");
  REQUIRE(line_in(journal, "hello", false, OutputKind::standard_output) == "<6>web.3 | hello\n");
}

TEST_CASE("a worker's line as JSON is one valid object, whatever the bytes are") {
  LineStyle json;
  json.format = config::AppLog::Format::json;
  json.colours = Colours::pass;
  json.stamped = true;
  REQUIRE(line_in(json, "hello\r") ==
          "{\"time\":\"2023-11-14T22:13:20.042Z\",\"app\":\"web\",\"slot\":3,\"pid\":4711,\"stream\":\"stderr\","
          "\"message\":\"hello\"}\n");
  REQUIRE(line_in(json, "half", true, OutputKind::standard_output)
              .ends_with("\"stream\":\"stdout\",\"message\":\"half\",\"partial\":true}\n"));
  REQUIRE(line_in(json, "\x1b[1mbold\x1b[0m \x1b[2J\xff\"").ends_with(":\"bold \\u001b[2J\xEF\xBF\xBD\\\"\"}\n"));
  std::string out;
  append_worker_line(out, json, {"web", 0, 1, 7}, OutputKind::standard_error, "", false, 0);
  REQUIRE(out.find("\"pid\":1,\"generation\":7,\"stream\"") != std::string::npos);
}

TEST_CASE("in passthrough a line is the worker's bytes and nothing else") {
  LineStyle raw;
  raw.format = config::AppLog::Format::passthrough;
  raw.journald_prefix = true;
  REQUIRE(line_in(raw, "\x1b[1m\xff\r") == "\x1b[1m\xff\r\n");
  REQUIRE(line_in(raw, "first piece", true) == "first piece");
}

TEST_CASE("a piece of a long line is not lengthened by another stream's line") {
  PipePair pipe = make_pipe();
  WorkerLogs logs({pipe.write.get(), false, Colours::strip});
  REQUIRE_FALSE(logs.use({app_with(config::AppLog::Format::passthrough)}, {}, false));
  auto log = logs.of("web");
  int one = 0, other = 0;
  auto print = [&](int& stream, std::string_view line, bool continues) {
    log->write_line(tag(0), OutputKind::standard_output, line, continues, &stream);
    log->flush(&stream);
  };
  print(one, "aaa", true);
  print(one, "bbb", false);
  print(one, "ccc", true);
  print(other, "ddd", false);
  print(one, "eee", false);
  REQUIRE(read_some(pipe.read.get()) == "aaabbb\nccc\nddd\neee\n");
}

TEST_CASE("a stream that nobody reads drops lines instead of waiting, and says how many") {
  PipePair pipe = make_pipe();  // a blocking one, as stderr is
  WorkerLogs logs({pipe.write.get(), false, Colours::strip});
  auto log = logs.of("web");
  int stream = 0;
  auto print = [&](const std::string& line) {
    log->write_line(tag(0), OutputKind::standard_output, line, false, &stream);
    log->flush(&stream);
  };
  std::string all;
  auto read_until = [&](std::string_view text) {
    while (all.find(text) == std::string::npos) all += read_some(pipe.read.get());
  };
  SECTION("short lines") {
    for (int i = 0; i < 200; i++) print(std::string(1000, 'x'));
    while (all.size() < 50'000) all += read_some(pipe.read.get());
    REQUIRE(all.find("web.0 | xxx") == 0);
  }
  SECTION("lines longer than a pipe takes at once: what was begun is ended") {
    for (int i = 0; i < 20; i++) print(std::string(10'000, 'x'));
    while (all.size() < 50'000) all += read_some(pipe.read.get());
  }
  print("again");
  read_until("again\n");
  REQUIRE(all.find("lines of worker output were dropped: stderr was not read") != std::string::npos);
  for (std::size_t at = 0; at < all.size(); at = all.find('\n', at) + 1) {
    std::string line = all.substr(at, all.find('\n', at) - at);
    INFO(line);
    REQUIRE((line == "web.0 | " + std::string(1000, 'x') || line == "web.0 | " + std::string(10'000, 'x') ||
             line == "web.0 | again" || line.find("were dropped") != std::string::npos));
  }
}

TEST_CASE("a line whose end was dropped is ended before what comes next") {
  PipePair pipe = make_pipe();
  WorkerLogs logs({pipe.write.get(), false, Colours::strip});
  REQUIRE_FALSE(logs.use({app_with(config::AppLog::Format::passthrough)}, {}, false));
  auto log = logs.of("web");
  int stream = 0;
  auto print = [&](std::string_view line, bool continues) {
    log->write_line(tag(0), OutputKind::standard_output, line, continues, &stream);
    log->flush(&stream);
  };
  print("begun", true);
  const std::string filler(4096, 'f');
  pollfd room{pipe.write.get(), POLLOUT, 0};
  while (::poll(&room, 1, 0) == 1) REQUIRE(::write(pipe.write.get(), filler.data(), filler.size()) == 4096);
  print("end", false);
  std::string all;
  while (all.empty() || all.back() != 'f' || ::poll(&room, 1, 0) == 0) all += read_some(pipe.read.get());
  all.clear();
  print("next", false);
  while (!all.ends_with("next\n")) all += read_some(pipe.read.get());
  all.erase(0, all.find_first_not_of('f'));  // what was left of it
  REQUIRE(all.starts_with('\n'));
  REQUIRE(all.find("1 lines of worker output were dropped") != std::string::npos);
  REQUIRE(all.ends_with("\nnext\n"));
}

TEST_CASE("a change of an app's log reaches the workers that run") {
  PipePair pipe = make_pipe();
  WorkerLogs logs({pipe.write.get(), false, Colours::strip});
  auto held = logs.of("web");
  int stream = 0;
  held->write_line(tag(0), OutputKind::standard_output, "before", false, &stream);
  held->flush(&stream);
  REQUIRE(held->beside_the_log());
  REQUIRE_FALSE(logs.use({app_with(config::AppLog::Format::passthrough)}, {}, false));
  held->write_line(tag(0), OutputKind::standard_output, "after", false, &stream);
  held->flush(&stream);
  REQUIRE(read_some(pipe.read.get()) == "web.0 | before\nafter\n");
  Failure failure = logs.use({app_with(config::AppLog::Format::text, "/nonexistent/web.log")}, {}, false);
  REQUIRE(failure);
  REQUIRE(failure->code == ExitCode::cannot_create);
  REQUIRE(failure->text.find("/nonexistent/web.log") != std::string::npos);
  REQUIRE(held->beside_the_log());
}

namespace {
struct StopAtEnd final : WorkerOutputListener {
  explicit StopAtEnd(uv::Loop& l) : loop(l) {}
  void on_output_ended(WorkerOutput&) override { loop.stop(); }
  uv::Loop& loop;
};
}  // namespace

TEST_CASE("both pipes of a worker are read to their ends and its stderr is remembered") {
  uv::Loop loop("test");
  StopAtEnd listener(loop);
  PipePair out = make_pipe();
  PipePair err = make_pipe();
  PipePair to = make_pipe();
  WorkerLogs logs({to.write.get(), false, Colours::strip});
  auto last = std::make_shared<LastLines>();
  sys::PipePeek peek;
  REQUIRE(::write(out.write.get(), "hello\n", 6) == 6);
  REQUIRE(::write(err.write.get(), "Error: no\n  at once", 19) == 19);
  SECTION("by the loop") {
    WorkerOutput output(loop, tag(3), std::move(out.read), std::move(err.read), logs.of("web"), last, peek, listener);
    out.write.reset();
    err.write.reset();
    loop.run();
    REQUIRE(output.ended());
  }
  SECTION("at an exit, with a grandchild that keeps them open") {
    WorkerOutput output(loop, tag(3), std::move(out.read), std::move(err.read), logs.of("web"), last, peek, listener);
    output.catch_up();
    REQUIRE(last->all().size() == 1);
    output.close();
  }
  REQUIRE(last->all() == std::deque<std::string>{"Error: no", "  at once"});
  std::string text = read_some(to.read.get());
  REQUIRE(text.find("web.3 | hello\n") != std::string::npos);
  REQUIRE(text.find("web.3 |   at once\n") != std::string::npos);
}

TEST_CASE("a worker that never stops printing gets one read in each turn of the loop") {
  uv::Loop loop("test");
  StopAtEnd listener(loop);
  PipePair out = make_pipe();
  PipePair err = make_pipe();
  PipePair to = make_pipe();
  REQUIRE(::fcntl(out.write.get(), F_SETFL, O_NONBLOCK) == 0);
  WorkerLogs logs({to.write.get(), false, Colours::strip});
  auto last = std::make_shared<LastLines>();
  sys::PipePeek peek;
  WorkerOutput output(loop, tag(3), std::move(out.read), std::move(err.read), logs.of("web"), last, peek, listener);
  std::string flood(kOutputReadMax * 4, '\n');
  auto fill = [&] {
    std::size_t filled = 0;
    for (ssize_t n = 0; (n = ::write(out.write.get(), flood.data(), flood.size())) > 0;) {
      filled += static_cast<std::size_t>(n);
    }
    return filled;
  };
  fill();
  // A timer of the same loop comes again and again although there is always more to read.
  struct Ticks final : uv::TimerListener {
    explicit Ticks(uv::Loop& l) : loop(l), timer(l, *this) { timer.start(Duration(0)); }
    void on_timer(uv::Timer&) override {
      refilled = std::max(refilled, again());
      if (++ticks == 20) return loop.stop();
      timer.start(Duration(0));
    }
    uv::Loop& loop;
    std::function<std::size_t()> again;
    std::size_t refilled = 0;
    int ticks = 0;
    uv::Timer timer;
  } ticks(loop);
  ticks.again = fill;
  loop.run();
  REQUIRE(ticks.ticks == 20);
  REQUIRE(ticks.refilled <= 4 * kOutputReadMax);  // what was read between two ticks
  output.close();
}
