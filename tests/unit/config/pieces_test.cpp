// The pieces below the table: times, sizes, commands, suggestions.
#include <catch2/catch_test_macros.hpp>

#include "rota/config/suggest.h"
#include "rota/config/units.h"
#include "rota/config/words.h"

using namespace rota;
using namespace rota::config;
using List = std::vector<std::string>;

TEST_CASE("times") {
  CHECK(*parse_duration("250ms") == 250ms);
  CHECK(*parse_duration("0s") == 0ms);
  CHECK(*parse_duration("1.5s") == 1500ms);
  CHECK(*parse_duration("0.1s") == 100ms);
  CHECK(*parse_duration("0.001s") == 1ms);
  CHECK(*parse_duration("1.50000000000000s") == 1500ms);
  CHECK(*parse_duration("2m") == 120s);
  CHECK(*parse_duration("1h") == 1h);
  CHECK(*parse_duration("1d") == 24h);
  for (const char* bad : {"", "s", "5", "5.", ".5s", "5.s", "1.0005s", "+5s", "-5s", "5S", "1h30m", "0x5s", "5 s",
                          " 5s", "5s ", "1e3s", "5\xC2\xB5s"}) {
    INFO(bad);
    CHECK_FALSE(parse_duration(bad));
  }
  CHECK(format_duration(0ms) == "0s");
  CHECK(format_duration(1500ms) == "1500ms");
  CHECK(format_duration(90s) == "90s");
  CHECK(format_duration(24h) == "24h");
}

TEST_CASE("sizes") {
  CHECK(*parse_size("0") == 0_B);
  CHECK(*parse_size("512B") == 512_B);
  CHECK(*parse_size("32KiB") == 32_KiB);
  CHECK(*parse_size("1.5MiB") == 1536_KiB);
  CHECK(*parse_size("1GiB") == 1024_MiB);
  for (const char* bad : {"", "1", "00", "1KB", "1kib", "1.5B", "-1B", "9999999999GiB", "99999999999999999999B"}) {
    INFO(bad);
    CHECK_FALSE(parse_size(bad));
  }
  CHECK(format_size(32_KiB) == "32KiB");
  CHECK(format_size(1000_B) == "1000B");
  CHECK(format_size(0_B) == "0B");
}

TEST_CASE("counts") {
  CHECK(*parse_count("0") == 0);
  CHECK(*parse_count("007") == 7);
  CHECK(*parse_count("4294967295") == 4294967295U);
  for (const char* bad : {"", "-1", "+1", "1.0", "4294967296", "1 ", "0x1"}) CHECK_FALSE(parse_count(bad));
}

TEST_CASE("quoting for messages is harmless and bounded") {
  CHECK(in_quotes("a") == "\"a\"");
  CHECK(in_quotes("a\x1b[2J") == "\"a\\u001b[2J\"");
  CHECK(in_quotes(std::string(64, 'x')) == "\"" + std::string(64, 'x') + "\"");
  CHECK(in_quotes(std::string(65, 'x')) == "\"" + std::string(64, 'x') + "...\"");
  CHECK(in_quotes(std::string(63, 'x') + "\xC3\xBC") == "\"" + std::string(63, 'x') + "...\"");
}

TEST_CASE("words are split as a shell splits them") {
  auto words = [](const char* text) {
    Words split = split_words(text);
    INFO(text);
    REQUIRE_FALSE(split.problem);
    return split.words;
  };
  CHECK(words("node server.js") == List{"node", "server.js"});
  CHECK(words("  a \t b\n c  ") == List{"a", "b", "c"});
  CHECK(words("a 'b c' \"d e\" f\\ g") == List{"a", "b c", "d e", "f g"});
  CHECK(words("a'b'\"c\"d") == List{"abcd"});
  CHECK(words("a '' \"\"") == List{"a", "", ""});
  CHECK(words(R"(a "\"\\\$\`\n" '\n')") == List{"a", "\"\\$`\\n", "\\n"});
  CHECK(words("a \\\nb") == List{"a", "b"});
  CHECK(words("a \"x\\\ny\"") == List{"a", "xy"});
  CHECK(words(R"(a \| \; '$(b)' '|' "a;b|c>d&e")") == List{"a", "|", ";", "$(b)", "|", "a;b|c>d&e"});
  CHECK(words("a ${PORT} \"${PORT:-3}\" $ 5$ \"$\"") == List{"a", "${PORT}", "${PORT:-3}", "$", "5$", "$"});
  CHECK(words("gunicorn -b unix:{socket} a=b") == List{"gunicorn", "-b", "unix:{socket}", "a=b"});
  CHECK(words("a * ? ~ [x] #") == List{"a", "*", "?", "~", "[x]", "#"});
  CHECK(words("").empty());
  CHECK(words(" \n").empty());
}

TEST_CASE("what needs a shell is refused at its place") {
  struct {
    const char* text;
    std::size_t offset;
    std::size_t length;
  } cases[] = {{"a|b", 1, 1},        {"a || b", 2, 2},     {"a &", 2, 1},     {"a;b", 1, 1},     {"(a)", 0, 1},
               {"a `b`", 2, 1},      {"a <b", 2, 1},       {"a >>b", 2, 2},   {"a $b_1-", 2, 4}, {"a $1", 2, 2},
               {"a \"$(b)\"", 3, 2}, {"a \"x $y\"", 5, 2}, {"a \"`\"", 3, 1}, {"a 'b", 2, 1},    {"a \"b\\\"", 2, 1},
               {"a \\", 2, 1},       {"  X_1=2 a", 2, 4}};
  for (const auto& one : cases) {
    INFO(one.text);
    Words split = split_words(one.text);
    REQUIRE(split.problem);
    CHECK(split.problem->offset == one.offset);
    CHECK(split.problem->length == one.length);
  }
}

TEST_CASE("suggestions") {
  CHECK(edit_distance("", "abc") == 3);
  CHECK(edit_distance("abc", "abc") == 0);
  CHECK(edit_distance("ABC", "abc") == 0);
  CHECK(edit_distance("abcd", "acbd") == 1);
  CHECK(edit_distance("kitten", "sitting") == 3);
  CHECK(edit_distance(std::string(1000, 'a'), "a") == 1000);
  CHECK(nearest("helth", {"health", "restart"}) == "health");
  CHECK(nearest("warn", {"debug", "warning"}) == "warning");
  CHECK(nearest("xyz", {"health", "restart"}).empty());
  CHECK(nearest("", {"a"}).empty());
  CHECK(did_you_mean("stpo", {"stop"}) == "; did you mean \"stop\"?");
  CHECK(did_you_mean("q", {"stop"}).empty());
}
