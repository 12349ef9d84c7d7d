#include "rota/supervisor/output.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <catch2/catch_test_macros.hpp>
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
std::string read_some(int fd) {
  std::array<char, 8192> buffer{};
  ssize_t n = ::read(fd, buffer.data(), buffer.size());
  return n > 0 ? std::string(buffer.data(), static_cast<std::size_t>(n)) : std::string();
}

}  // namespace

TEST_CASE("lines are the same however the reads were cut") {
  std::string bytes = "one\ntwo\r\n\nthree \tand\nno end";
  std::vector<std::string> expected = {"one", "two", "", "three \tand", "no end+"};
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

TEST_CASE("a sink that nobody reads drops lines instead of waiting, and says how many") {
  PipePair pipe = make_pipe();  // a blocking one, as stderr is
  OutputSink sink({pipe.write.get(), false, Colours::strip});
  std::string line(1000, 'x');
  for (int i = 0; i < 200; i++) sink.write_line("web.0", OutputKind::standard_output, line, false);
  std::string all;
  while (all.size() < 50'000) all += read_some(pipe.read.get());
  REQUIRE(all.find("web.0 | xxx") == 0);
  sink.write_line("web.0", OutputKind::standard_error, "again", false);
  std::string tail;
  while (tail.find("again") == std::string::npos) tail += read_some(pipe.read.get());
  REQUIRE(tail.find("lines of worker output were dropped") != std::string::npos);
}

TEST_CASE("a sink for the journal gives each stream its priority") {
  PipePair pipe = make_pipe();
  OutputSink sink({pipe.write.get(), true, Colours::strip});
  sink.write_line("web.0", OutputKind::standard_output, "out", false);
  sink.write_line("web.0", OutputKind::standard_error, "err", true);
  REQUIRE(read_some(pipe.read.get()) == "<6>web.0 | out\n<4>web.0 | err [line continues]\n");
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
  OutputSink sink({to.write.get(), false, Colours::strip});
  auto last = std::make_shared<LastLines>();
  REQUIRE(::write(out.write.get(), "hello\n", 6) == 6);
  REQUIRE(::write(err.write.get(), "Error: no\n  at once", 19) == 19);
  SECTION("by the loop") {
    WorkerOutput output(loop, "web.3", std::move(out.read), std::move(err.read), sink, last, listener);
    out.write.reset();
    err.write.reset();
    loop.run();
    REQUIRE(output.ended());
  }
  SECTION("at an exit, with a grandchild that keeps them open") {
    WorkerOutput output(loop, "web.3", std::move(out.read), std::move(err.read), sink, last, listener);
    output.catch_up();
    REQUIRE(last->all().size() == 1);
    output.close();
  }
  REQUIRE(last->all() == std::deque<std::string>{"Error: no", "  at once"});
  std::string text = read_some(to.read.get());
  REQUIRE(text.find("web.3 | hello\n") != std::string::npos);
  REQUIRE(text.find("web.3 |   at once\n") != std::string::npos);
}
