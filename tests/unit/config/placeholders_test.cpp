// {socket} and {slot}: where they are, and what is handed on as it is.
#include "rota/config/placeholders.h"

#include <unistd.h>

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <string>

#include "loading.h"

using namespace rota::config;
using namespace rota::config::testing;

namespace {

// As the supervisor does it.
std::string filled(std::string_view text) {
  std::string out;
  std::size_t done = 0;
  while (auto found = find_placeholder(text, done)) {
    out += text.substr(done, found->offset - done);
    std::string_view whole = text.substr(found->offset, found->length);
    out += found->literal ? std::string(whole.substr(1, whole.size() - 2)) : "<" + std::string(found->word) + ">";
    done = found->offset + found->length;
  }
  return out + std::string(text.substr(done));
}

}  // namespace

TEST_CASE("placeholders are found, and written literally in double braces; all else stays") {
  CHECK(filled("-b unix:{socket} {slot}") == "-b unix:<socket> <slot>");
  CHECK(filled("{{socket}} {{{slot}}} {a_b}") == "{socket} {{slot}} {a_b}");
  for (const char* text :
       {"{\"a\": {}}", "{A} {a1} {} { a } ${socket} {socket", "print({a})", "{{name}} {{{x}}}", "{sockets}{slo}"}) {
    INFO(text);
    CHECK(filled(text) == text);
  }
  for (const char* text :
       {"", "{socket}", "{{socket}}", "{{{socket}}}", "{{slot}", "{slot}}", "${slot}", "${{slot}}", "{socket}{slot}",
        "{{socket}}{slot}", "x{socket}y{{slot}}z", "{{", "}}", "{a{socket}c}", "$ {slot}", "{{ slot }}", "{{a}}"}) {
    INFO(text);
    CHECK(filled(without_placeholders(text)) == text);
  }
}

TEST_CASE("whatever a variable brings is handed on as it is") {
  const std::string pieces[] = {"{", "}", "$", "socket"};
  for (std::size_t number = 0; number < 4 * 4 * 4 * 4 * 4 * 4 * 4; ++number) {
    std::string text;
    for (std::size_t rest = number, i = 0; i < 7; ++i, rest /= 4) text += pieces[rest % 4];
    if (filled(without_placeholders(text)) == text) continue;
    FAIL_CHECK(text);
  }
}

TEST_CASE("a value from a variable is never a placeholder, nor a part of one") {
  Variable word("ROTA_T_WORD", "socket");
  Variable open("ROTA_T_OPEN", "{");
  Variable half("ROTA_T_HALF", "ock");
  Variable whole("ROTA_T_WHOLE", "{socket} {{slot}}");
  struct Case {
    const char* written;
    const char* handed_on;
  };
  const Case cases[] = {
      {"{${ROTA_T_WORD}}", "{socket}"},
      {"{{${ROTA_T_WORD}}}", "{{socket}}"},
      {"${ROTA_T_OPEN}${ROTA_T_WORD}}", "{socket}"},
      {"${ROTA_T_OPEN}socket}", "{socket}"},
      {"{s${ROTA_T_HALF}et}", "{socket}"},
      {"{${ROTA_T_UNSET:-socket}}", "{socket}"},
      {"${ROTA_T_WHOLE}", "{socket} {{slot}}"},
      {"${ROTA_T_WORD}{socket}${ROTA_T_WORD}", "socket<socket>socket"},
      {"{socket}{${ROTA_T_WORD}}{{slot}}", "<socket>{socket}{slot}"},
  };
  for (const Case& one : cases) {
    INFO(one.written);
    std::string text = one.written;
    Config config = good("apps: {web: {command: [sh, \"" + text + "\"], env: {A: \"" + text + "\"}}}");
    CHECK(filled(config.apps.at(0).command.at(1)) == one.handed_on);
    CHECK(filled(config.apps.at(0).env.at(0).second) == one.handed_on);
    config = good("apps:\n  web:\n    command: sh '" + text + "' x\"" + text + "\"\n");
    CHECK(filled(config.apps.at(0).command.at(1)) == one.handed_on);
    CHECK(filled(config.apps.at(0).command.at(2)) == "x" + std::string(one.handed_on));
  }
}

TEST_CASE("what may be a slip is a problem in a command written as a text, and a note elsewhere") {
  Variable braces("ROTA_T_BRACES", "{port}");
  auto notes = [](const Loaded& loaded) {
    for (const Problem& problem : loaded.problems) UNSCOPED_INFO(problem.shown);
    CHECK(loaded.problems.empty());
    std::string all;
    for (const std::string& note : loaded.notes) {
      if (note.find("no placeholder") != std::string::npos) all += note + "\n";
    }
    return all;
  };
  Loaded loaded = load_yaml("apps:\n  web:\n    command: sh -p {port}\n");
  REQUIRE(loaded.problems.size() == 1);
  CHECK(placed(loaded.problems[0]) ==
        "3:20: \"command\": {port} is no placeholder; did you mean {socket}? To hand on {port} as it is, write the "
        "command as a list");
  CHECK(marked(loaded.problems[0]) == "{port}");
  CHECK(notes(load_yaml("apps: {web: {command: \"sh -c 'print({a})' {{port}} ${ROTA_T_BRACES}\"}}")).empty());
  CHECK(notes(load_yaml("apps: {web: {command: [sh, \"print({a})\", \"{{name}}\", \"${ROTA_T_BRACES}\"],"
                        " env: {F: \"{time} {message} ${ROTA_T_BRACES}\"}}}"))
            .empty());
  CHECK(notes(load_yaml("apps: {web: {command: [sh, \"unix:{sockt}\"], env: {A: \"{slto}\"}}}")) ==
        "app \"web\" has {sockt} in its command, which is no placeholder and is handed on as it is; did you mean "
        "{socket}?\n"
        "app \"web\" has {slto} in the variable \"A\", which is no placeholder and is handed on as it is; did you mean "
        "{slot}?\n");
  Source source;
  source.command = {"sh", "{port}", "{a}"};
  CHECK(notes(load(source)).find("app \"app\" has {port} in its command") == 0);
}

TEST_CASE("servers that do not look at PORT are told how") {
  auto notes = [](const std::string& command, const std::string& more = "") {
    Directory directory;
    for (const char* name : {"gunicorn", "uvicorn", "puma", "bundle", "python3", "node"}) {
      directory.file(name, "#!/bin/sh\n", 0755);
    }
    Loaded loaded = load_yaml("apps: {web: {command: \"" + command + "\", user: \"" + std::to_string(::geteuid()) +
                              "\", env: {PATH: " + directory.path + more + "}}}");
    for (const Problem& problem : loaded.problems) UNSCOPED_INFO(problem.shown);
    REQUIRE(loaded.problems.empty());
    return loaded.notes.empty() ? std::string() : loaded.notes[0];
  };
  CHECK(notes("gunicorn app:app").find("add -b unix:{socket} to the command") != std::string::npos);
  CHECK(notes("python3 -m uvicorn app:app").find("add --uds {socket}") != std::string::npos);
  CHECK(notes("bundle exec puma").find("add -b unix://{socket}") != std::string::npos);
  CHECK(notes("gunicorn -b unix:{socket} app:app").empty());
  CHECK(notes("gunicorn app:app", ", GUNICORN_CMD_ARGS: \"-b unix:{socket}\"").empty());
  CHECK(notes("node server.js").empty());
}
