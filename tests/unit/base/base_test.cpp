#include <fcntl.h>
#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <string>
#include <vector>

#include "rota/base/held_bytes.h"
#include "rota/base/intrusive_list.h"
#include "rota/base/json.h"
#include "rota/base/log.h"
#include "rota/base/result.h"
#include "rota/base/unique_fd.h"

using namespace rota;

TEST_CASE("an error says what failed and why") {
  Error error = os_error("opening /x", ENOENT);
  CHECK(error.code == Errc::not_found);
  CHECK(error.text() == "opening /x: No such file or directory");
  CHECK(Error{Errc::limit, 0, "too many"}.text() == "too many");
  Result<int> bad = error;
  CHECK_FALSE(bad);
  Result<int> good = 5;
  CHECK(*good == 5);
}

TEST_CASE("a file descriptor has one owner and is closed with it") {
  int number = -1;
  {
    UniqueFd fd(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    REQUIRE(fd);
    number = fd.get();
    UniqueFd moved(std::move(fd));
    CHECK_FALSE(fd);
    UniqueFd twin = moved.duplicate();
    CHECK(twin.get() != moved.get());
    CHECK((::fcntl(twin.get(), F_GETFD) & FD_CLOEXEC) != 0);
  }
  CHECK(::fcntl(number, F_GETFD) == -1);
}

TEST_CASE("JSON strings escape what must be and replace what is not UTF-8") {
  auto json = [](std::string_view text) {
    std::string out;
    append_json_string(out, text);
    return out;
  };
  CHECK(json("plain") == "\"plain\"");
  CHECK(json("a\"b\\c\n\x01\x7f") == "\"a\\\"b\\\\c\\u000a\\u0001\\u007f\"");
  CHECK(json("\xC3\xA9 \xE2\x82\xAC \xF0\x9F\x98\x80") == "\"\xC3\xA9 \xE2\x82\xAC \xF0\x9F\x98\x80\"");
  CHECK(json("\xC2\x9B"
             "2J\xC2\xA0") == "\"\\u009b2J\xC2\xA0\"");  // CSI to some terminals
  CHECK(json("\xff") == "\"\xEF\xBF\xBD\"");
  CHECK(json("\xC0\xAF") == "\"\xEF\xBF\xBD\xEF\xBF\xBD\"");              // an overlong form
  CHECK(json("\xED\xA0\x80").find("\xED\xA0\x80") == std::string::npos);  // a surrogate
  CHECK(json("\xE2\x82") == "\"\xEF\xBF\xBD\xEF\xBF\xBD\"");              // cut short
}

namespace {

struct Item : ListLink {
  explicit Item(int value_in) : value(value_in) {}
  int value;
};
std::vector<int> values(IntrusiveList<Item>& list) {
  std::vector<int> out;
  list.for_each([&](Item& item) { out.push_back(item.value); });
  return out;
}

}  // namespace

TEST_CASE("an element leaves its list from anywhere, also by dying") {
  IntrusiveList<Item> list;
  Item a(1), b(2);
  {
    Item c(3);
    list.push_back(a);
    list.push_back(c);
    list.push_back(b);
    CHECK(values(list) == std::vector<int>{1, 3, 2});
  }
  CHECK(values(list) == std::vector<int>{1, 2});
  list.for_each([](Item& item) { item.unlink(); });
  CHECK(list.empty());
  list.push_front(b);
  list.insert_sorted(a, [](const Item& other) { return other.value > 1; });
  CHECK(values(list) == std::vector<int>{1, 2});
}

TEST_CASE("log lines carry level and role, and no control bytes of others") {
  int pipe_fds[2];
  REQUIRE(::pipe2(pipe_fds, O_CLOEXEC) == 0);
  UniqueFd reader(pipe_fds[0]);
  UniqueFd saved(::dup(2));
  ::dup2(pipe_fds[1], 2);
  ::close(pipe_fds[1]);
  log::configure({"test", log::Level::info, true});
  log::debug("hidden");
  log::warning("a\nforged {}", "line\x1b[31m");
  log::configure({});
  ::dup2(saved.get(), 2);
  char buffer[512];
  ssize_t n = ::read(reader.get(), buffer, sizeof buffer);
  REQUIRE(n > 0);
  CHECK(std::string(buffer, static_cast<std::size_t>(n)) == "<4>test warning: a\\x0aforged line\\x1b[31m\n");
}

TEST_CASE("a reader of stderr that has stopped stops nobody; afterwards the loss is told") {
  int pipe_fds[2];
  REQUIRE(::pipe2(pipe_fds, O_CLOEXEC) == 0);  // blocking, as a shell makes them
  UniqueFd reader(pipe_fds[0]);
  UniqueFd saved(::dup(2));
  ::dup2(pipe_fds[1], 2);
  ::close(pipe_fds[1]);
  log::configure({"test", log::Level::info, true});
  std::string long_text(10'000, '\n');
  for (int i = 0; i < 100; i++) log::warning("{}", long_text);  // far more than the pipe holds
  std::string got;
  char buffer[65536];
  got.append(buffer, static_cast<std::size_t>(::read(reader.get(), buffer, sizeof buffer)));
  log::warning("afterwards");
  ::dup2(saved.get(), 2);
  log::configure({});
  ssize_t n = 0;
  while ((n = ::read(reader.get(), buffer, sizeof buffer)) > 0) got.append(buffer, static_cast<std::size_t>(n));
  CHECK(got.find("[cut]\n") != std::string::npos);
  CHECK(got.find("lines before this one were lost: nobody read them) afterwards\n") != std::string::npos);
}

namespace {
std::string json_string(std::string_view text, std::size_t most = std::string::npos) {
  std::string out;
  append_json_string(out, text, most);
  return out;
}
}  // namespace

TEST_CASE("a log line in JSON is one object on one line, whatever the message is") {
  int pipe_fds[2];
  REQUIRE(::pipe2(pipe_fds, O_CLOEXEC) == 0);
  UniqueFd reader(pipe_fds[0]);
  UniqueFd saved(::dup(2));
  ::dup2(pipe_fds[1], 2);
  ::close(pipe_fds[1]);
  log::configure({"test", log::Level::info, false});
  log::set_format(log::Format::json);
  log::warning("a\n\"quoted\" \xff {}", "\x1b[31m");
  log::info("{}", std::string(10'000, '\x01'));
  std::string alone = log::line_of(log::Level::error, "x");
  log::set_format(log::Format::text);
  log::configure({});
  ::dup2(saved.get(), 2);
  char buffer[16384];
  ssize_t n = ::read(reader.get(), buffer, sizeof buffer);
  REQUIRE(n > 0);
  std::string_view got(buffer, static_cast<std::size_t>(n));
  std::string first(got.substr(0, got.find('\n')));
  std::string pid = std::to_string(::getpid());
  CHECK(first.starts_with("{\"time\":\"20"));
  CHECK(first.ends_with("Z\",\"level\":\"warning\",\"role\":\"test\",\"pid\":" + pid +
                        ",\"message\":\"a\\u000a\\\"quoted\\\" \xEF\xBF\xBD \\u001b[31m\"}"));
  std::string_view second = got.substr(first.size() + 1);
  CHECK(second.size() <= log::kLineMax + 32);
  CHECK(second.ends_with("\\u0001\",\"cut\":true}\n"));
  CHECK(alone.ends_with(",\"message\":\"x\"}"));
}

TEST_CASE("a JSON string keeps to its limit and is always closed") {
  CHECK(json_string("abc") == "\"abc\"");
  for (std::size_t most = 2; most < 40; most++) {
    std::string cut = json_string("a\"\x01gr\xc3\xbc\xc3\x9f and more and more and more", most);
    CHECK(cut.size() <= most);
    CHECK(cut.front() == '"');
    CHECK(cut.back() == '"');
  }
}

TEST_CASE("a text is never cut inside a character") {
  CHECK(whole_characters("abc", 5) == 3);
  CHECK(whole_characters("abc", 2) == 2);
  std::string euro =
      "a\xe2\x82\xac"
      "b";
  CHECK(whole_characters(euro, 1) == 1);
  CHECK(whole_characters(euro, 2) == 1);
  CHECK(whole_characters(euro, 3) == 1);
  CHECK(whole_characters(euro, 4) == 4);
  CHECK(whole_characters("\x80\x80\x80\x80\x80\x80", 5) == 5);
  std::string time;
  append_utc_time(time, 1'700'000'000'042);
  CHECK(time == "2023-11-14T22:13:20.042Z");
}

TEST_CASE("held bytes take hardly more memory than they are, and none when there are none") {
  HeldBytes held;
  CHECK(sizeof held == sizeof(void*));
  CHECK(held.empty());
  CHECK(held.view().empty());
  held.append("");
  CHECK(held.capacity() == 0);
  std::string expected;
  for (int i = 0; i < 5000; i++) {
    const std::string piece(static_cast<std::size_t>(i % 7), static_cast<char>('a' + i % 26));
    held.append(piece);
    expected += piece;
    REQUIRE(held.capacity() <= held.size() + HeldBytes::kSlackMax);
  }
  CHECK(held.view() == expected);
  held.remove_prefix(4321);
  CHECK(held.view() == std::string_view(expected).substr(4321));
  const std::size_t capacity = held.capacity();
  held.truncate(3);
  CHECK(held.view() == std::string_view(expected).substr(4321, 3));
  held.truncate(5);
  CHECK(held.size() == 3);
  held.assign("short");
  CHECK(held.view() == "short");
  CHECK(held.capacity() == capacity);  // kept: it is for what comes next
  HeldBytes moved = std::move(held);
  CHECK(moved.view() == "short");
  moved.release();
  CHECK(moved.capacity() == 0);
  moved.assign("once");
  CHECK(moved.capacity() == 4);
}
