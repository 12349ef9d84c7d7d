// ${NAME} and env_file: what becomes of them, and what is not shown of them.
#include <catch2/catch_test_macros.hpp>

#include "loading.h"
#include "rota/config/env_file.h"
#include "rota/config/interpolation.h"
#include "rota/config/keys.h"
#include "rota/config/words.h"

using namespace rota;
using namespace rota::config;
using namespace rota::config::testing;
using Pairs = std::vector<std::pair<std::string, std::string>>;

namespace {

std::string wrong_with(std::string_view source) {
  Interpolated done = interpolate(source);
  return done.problem ? done.problem->message : "";
}

}  // namespace

TEST_CASE("a value of many large variables is given up before it is large") {
  Variable large("ROTA_T_LARGE", std::string(100'000, 'x').c_str());
  std::string source;
  for (int i = 0; i < 1000; ++i) source += "${ROTA_T_LARGE}";
  CHECK(interpolate(source).text.size() <= kInterpolatedMax + 100'000);
  Loaded loaded = load_yaml("user: " + source + "\napps: {web: {command: sh}}\n");
  REQUIRE_FALSE(loaded.problems.empty());
  CHECK(loaded.problems[0].message == "with their variables the values up to here are larger than 1MiB");
}

TEST_CASE("variables are put in, defaults where there is nothing") {
  Variable set("ROTA_T_SET", "value");
  Variable empty("ROTA_T_EMPTY", "");
  Variable unset("ROTA_T_UNSET", nullptr);
  auto text = [](std::string_view source) {
    INFO(source);
    Interpolated done = interpolate(source);
    REQUIRE_FALSE(done.problem);
    return done.text;
  };
  CHECK(text("a ${ROTA_T_SET} b${ROTA_T_SET}") == "a value bvalue");
  CHECK(text("${ROTA_T_SET:-x}") == "value");
  CHECK(text("${ROTA_T_UNSET:-x y}") == "x y");
  CHECK(text("${ROTA_T_UNSET:-}") == "");
  CHECK(text("${ROTA_T_EMPTY:-x}") == "x");
  CHECK(text("${ROTA_T_EMPTY}") == "");
  CHECK(text("$${ROTA_T_SET}") == "${ROTA_T_SET}");
  CHECK(text("$$${ROTA_T_SET}") == "$${ROTA_T_SET}");
  CHECK(text("$ROTA_T_SET $ 5$ {a} $(b) $$") == "$ROTA_T_SET $ 5$ {a} $(b) $$");
  CHECK(interpolate("${ROTA_T_SET}").from_environment);
  CHECK_FALSE(interpolate("$${ROTA_T_SET}").from_environment);
}

TEST_CASE("what cannot be put in is named") {
  Variable unset("ROTA_T_UNSET", nullptr);
  CHECK(wrong_with("${ROTA_T_UNSET}") ==
        "the environment variable ROTA_T_UNSET is not set; set it, or write ${ROTA_T_UNSET:-...} with a default");
  CHECK(wrong_with("${A").find("not closed") != std::string::npos);
  CHECK(wrong_with("${}").find("no variable is named") == 0);
  CHECK(wrong_with("${1}").find("no variable is named") == 0);
  CHECK(wrong_with("${A-x}") == "only ${A} and ${A:-default} are known");
  CHECK(wrong_with("${A:?x}") == "only ${A} and ${A:-default} are known");
  CHECK(wrong_with("${A:-${B}}") == "a default cannot contain \"{\", so none can be inside another");
  Interpolated done = interpolate("ab${}c");
  REQUIRE(done.problem);
  CHECK(done.problem->offset == 2);
  CHECK(done.problem->length == 3);
}

TEST_CASE("a variable may be a value of any type and never more than one value") {
  Variable number("ROTA_T_N", "3");
  Variable wait("ROTA_T_WAIT", "7s");
  Variable yes("ROTA_T_YES", "true");
  Variable words("ROTA_T_WORD_KEYS", "two words, [x]: #y\n- z");
  Variable unset("ROTA_T_UNSET", nullptr);
  Config config = good(
      "listen: {address: \"${ROTA_T_UNSET:-9000}\", proxy_protocol: \"${ROTA_T_YES}\"}\n"
      "trusted_proxies: ${ROTA_T_UNSET:-10.0.0.0/8}\n"
      "timeouts: {header: \"${ROTA_T_WAIT}\"}\n"
      "apps:\n"
      "  web:\n"
      "    command: sh -c ${ROTA_T_WORD_KEYS} \"a ${ROTA_T_WORD_KEYS}\" ${ROTA_T_UNSET:-b c} '$${X}' $${Y}\n"
      "    workers: ${ROTA_T_N}\n"
      "    env: {A: \"${ROTA_T_WORD_KEYS}\", \"B${ROTA_T_N}\": \"$ROTA_T_N\"}\n");
  CHECK(config.listen.at(0).address.port == 9000);
  CHECK(config.listen.at(0).proxy_protocol);
  CHECK(config.timeouts.header == 7s);
  const App& app = config.apps.at(0);
  std::string value = "two words, [x]: #y\n- z";
  CHECK(app.command == std::vector<std::string>{"sh", "-c", value, "a " + value, "b c", "${X}", "${Y}"});
  CHECK(app.workers == 3);
  CHECK(app.env == Pairs{{"A", value}, {"B${ROTA_T_N}", "$ROTA_T_N"}});
}

TEST_CASE("keys are never replaced, even where a value is an alias of one") {
  Variable set("ROTA_T_SET", "value");
  Config config = good("apps: {web: {command: sh, env: {&k \"${ROTA_T_SET}\": a, B: *k, &j J: x, K: *j}}}");
  CHECK(config.apps.at(0).env == Pairs{{"${ROTA_T_SET}", "a"}, {"B", "value"}, {"J", "x"}, {"K", "J"}});
}

TEST_CASE("a variable that is missing is the only problem of its value") {
  Variable unset("ROTA_T_UNSET", nullptr);
  for (const char* line : {"listen: ${ROTA_T_UNSET}", "threads: ${ROTA_T_UNSET}", "user: ${ROTA_T_UNSET}",
                           "trusted_proxies: [\"${ROTA_T_UNSET}\"]", "log: ${ROTA_T_UNSET}", "zzz: ${ROTA_T_UNSET}",
                           "access_log: ${ROTA_T_UNSET}"}) {
    Loaded loaded = load_yaml(std::string(line) + "\napps: {web: {command: sh}}\n");
    INFO(line);
    for (const Problem& problem : loaded.problems) UNSCOPED_INFO(problem.shown);
    REQUIRE(loaded.problems.size() == (line[0] == 'z' ? 2 : 1));
    CHECK(loaded.problems.back().message.find("ROTA_T_UNSET is not set") != std::string::npos);
    CHECK(marked(loaded.problems.back()) == "${ROTA_T_UNSET}");
  }
}

TEST_CASE("the sum of what variables bring is bounded") {
  std::string kib(100'000, 'x');
  Variable large("ROTA_T_LARGE", kib.c_str());
  std::string text = "apps: {web: {command: sh, env: {A: \"";
  for (int i = 0; i < 30; ++i) text += "${ROTA_T_LARGE}";
  Loaded loaded = load_yaml(text + "\"}}}");
  REQUIRE(loaded.problems.size() == 1);
  CHECK(loaded.problems[0].message == "with their variables the values up to here are larger than 1MiB");
}

TEST_CASE("no problem shows the value of a variable that names a secret") {
  for (const char* name : {"ROTA_T_API_KEY", "rota_t_secret", "ROTA_T_PASSWORD_X", "A_TOKEN", "DB_PASS", "db_passwd",
                           "AWS_CREDENTIALS", "SENTRY_DSN", "PRIVATE_PEM", "BASIC_AUTH", "PASSPHRASE"})
    CHECK(names_a_secret(name));
  CHECK_FALSE(names_a_secret("ROTA_T_HOME"));
  Variable secret("ROTA_T_TOKEN", "hunter2:hunter2/hunter2");
  Variable word("ROTA_T_WORD_KEY", "hunter2");
  int seen = 0;
  for (const KeyFacts& key : all_keys()) {
    if (key.path.find("apps.NAME.") != 0 && key.path.find('.') != std::string::npos) continue;
    std::string name = key.path.substr(key.path.rfind('.') + 1);
    bool in_app = key.path.find("apps.NAME.") == 0;
    if (in_app && key.path.find('.', 10) != std::string::npos) continue;
    for (const char* value :
         {"${ROTA_T_TOKEN}", "[\"/a ${ROTA_T_TOKEN}\"]", "\"/${ROTA_T_TOKEN}\"", "a${ROTA_T_WORD_KEY}=b"}) {
      std::string line = name + ": " + value + "\n";
      std::string text = in_app ? "apps:\n  web:\n    " + line + (name == "command" ? "" : "    command: sh\n")
                                : line + "apps: {web: {command: sh}}\n";
      Loaded loaded = load_yaml(text);
      for (const Problem& problem : loaded.problems) {
        INFO(problem.shown);
        CHECK(problem.shown.find("hunter2") == std::string::npos);
        ++seen;
      }
    }
  }
  CHECK(seen > 50);
}

TEST_CASE("no problem shows a URL with a password, whatever its variable is called") {
  for (const char* value : {"postgres://shop:hunter2@db/shop", "redis://:hunter2@cache:6379/0",
                            "a http://u:p/hunter2@h", "x://a y://u:hunter2@h"}) {
    INFO(value);
    CHECK(has_a_password(value));
    Variable url("ROTA_T_DATABASE_URL", value);
    Loaded loaded = load_yaml("apps: {web: {command: sh, workers: \"${ROTA_T_DATABASE_URL}\"}}");
    REQUIRE(loaded.problems.size() == 1);
    CHECK(loaded.problems[0].shown.find("hunter2") == std::string::npos);
  }
  for (const char* value : {"http://db:80/x", "http://user@db/", "a:b@c", "://", "http://a:1 b@c", ""}) {
    INFO(value);
    CHECK_FALSE(has_a_password(value));
  }
  Variable plain("ROTA_T_DATABASE_URL", "http://db:80/x");
  Loaded loaded = load_yaml("apps: {web: {command: sh, workers: \"${ROTA_T_DATABASE_URL}\"}}");
  REQUIRE(loaded.problems.size() == 1);
  CHECK(loaded.problems[0].shown.find("http://db:80/x") != std::string::npos);
}

TEST_CASE("what a variable was replaced by is said where the file does not show it") {
  Variable bad("ROTA_T_BAD", "~/x");
  Loaded loaded = load_yaml("apps: {web: {command: sh, directory: \"${ROTA_T_BAD}\"}}");
  REQUIRE(loaded.problems.size() == 1);
  CHECK(loaded.problems[0].message ==
        "\"directory\" begins with \"~\", which only a shell expands; write the whole path (the value is \"~/x\")");
}

TEST_CASE("a reference is one piece of a word") {
  auto words = [](const char* text) { return split_words(text).words; };
  CHECK(words("a ${B:-c d}e f") == std::vector<std::string>{"a", "${B:-c d}e", "f"});
  CHECK(words("a \"${B:-\"}\" '${C}'") == std::vector<std::string>{"a", "${B:-\"}", "${C}"});
  CHECK(words("a $${B} \"$${C d}\"") == std::vector<std::string>{"a", "$${B}", "$${C d}"});
  CHECK(split_words("a \\${B}").problem->offset == 2);
  CHECK(split_words("a \"\\${B}\"").problem->offset == 3);
}

TEST_CASE("what is put together from pieces is no reference, and what a variable brings is not read again") {
  Variable set("ROTA_T_SET", "a \"b' ${ROTA_T_OTHER} $${X}");
  Variable other("ROTA_T_OTHER", "never");
  Loaded loaded = load_yaml(
      "apps:\n"
      "  web:\n"
      "    command: sh '$'{ROTA_T_SET} '$'${ROTA_T_SET} '${ROTA_T_SET}' \"${ROTA_T_SET}\" $${ROTA_T_SET}\n");
  REQUIRE(loaded.problems.empty());
  const std::string value = "a \"b' ${ROTA_T_OTHER} $${X}";
  CHECK(loaded.config.apps[0].command ==
        std::vector<std::string>{"sh", "${ROTA_T_SET}", "$" + value, value, value, "${ROTA_T_SET}"});
  CHECK(split_words("a \\$${B}").problem->offset == 2);
}

TEST_CASE("an env file is read as most tools read it") {
  EnvFile file = parse_env_file(
      "\xEF\xBB\xBF# comment\n"
      "\n"
      "A=1\r\n"
      "  B=two words  # comment\n"
      "export C='as $it is \\n #x'\n"
      "D=\"x\\n\\t\\\"\\\\\\$y\" # comment\n"
      "E=\n"
      "F=\"\"\n"
      "G=a#b=c'd\"\\n$x\n"
      "H='two\nlines'\n"
      "I=   # comment\n"
      "exportJ=1\n"
      "K=\"l1\n"
      "# no comment\"\n"
      "_L9=x");
  CHECK(file.problems.empty());
  CHECK(file.variables == Pairs{{"A", "1"},
                                {"B", "two words"},
                                {"C", "as $it is \\n #x"},
                                {"D", "x\n\t\"\\$y"},
                                {"E", ""},
                                {"F", ""},
                                {"G", "a#b=c'd\"\\n$x"},
                                {"H", "two\nlines"},
                                {"I", ""},
                                {"exportJ", "1"},
                                {"K", "l1\n# no comment"},
                                {"_L9", "x"}});
}

TEST_CASE("what readers of env files would read differently is refused, line by line") {
  struct {
    const char* text;
    std::size_t offset;
  } cases[] = {{"A", 0},         {"A =1", 1},   {"A= 1", 2},   {"1A=1", 0},     {"=1", 0},
               {"A-B=1", 1},     {"A=$(x)", 2}, {"A=x`y`", 3}, {"A=${B}", 2},   {"A=\"${B}\"", 3},
               {"A=\"\\q\"", 3}, {"A=\"x", 2},  {"A='x", 2},   {"A=\"x\"y", 5}, {"A='x'#y", 5},
               {"A=1\nA=2", 4},  {"A: 1", 1},   {"A=x\0y", 3}, {"export", 0},   {"export A", 7}};
  for (const auto& one : cases) {
    std::string text = one.text == std::string("A=x") ? std::string("A=x\0y", 5) : one.text;
    INFO(text);
    EnvFile file = parse_env_file(text);
    REQUIRE(file.problems.size() == 1);
    CHECK(file.problems[0].offset == one.offset);
  }
  CHECK(parse_env_file("1\nB=2\n3\n").problems.size() == 2);
  CHECK(parse_env_file("1\nB=2\n3\n").variables.size() == 1);
}

TEST_CASE("values of an env file are not shown, not even where they are broken") {
  EnvFile file = parse_env_file("DB_URL=\"hunter2\nhunter2=hunter2\" hunter2\nhunter2\nexport A = hunter2\n");
  CHECK(file.problems.size() == 3);
  CHECK(file.shown == "DB_URL=\"*******\n***************\" *******\n*******\n****** A = *******\n");
  for (const auto& problem : file.problems) CHECK(problem.message.find("hunter2") == std::string::npos);
}

TEST_CASE("env files come first, later ones win, env wins over all, each name is there once") {
  Directory directory;
  directory.file("one.env", "A=1\nB=1\nC=1\nURL=/{id}/{socket}\n");
  directory.file("two.env", "B=2\nD=2\n");
  Source source;
  source.file = directory.file(
      "rota.yaml", "apps: {web: {env: {C: 3, E: \"{socket}\"}, env_file: [one.env, ./two.env], command: sh}}\n");
  Loaded loaded = load(source);
  for (const Problem& problem : loaded.problems) UNSCOPED_INFO(problem.shown);
  REQUIRE(loaded.problems.empty());
  CHECK(loaded.config.apps.at(0).env ==
        Pairs{{"A", "1"}, {"URL", "/{id}/{{socket}}"}, {"B", "2"}, {"D", "2"}, {"C", "3"}, {"E", "{socket}"}});
}

TEST_CASE("a problem of an env file has its place there") {
  Directory directory;
  directory.file("app.env", "A=1\nPASSWORD=\"hunter2\n");
  Source source;
  source.file = directory.file("rota.yaml", "apps: {web: {env_file: app.env, command: sh}}\n");
  Loaded loaded = load(source);
  REQUIRE(loaded.problems.size() == 1);
  CHECK(loaded.problems[0].shown ==
        directory.path + "/app.env:2:10: this quote is not closed\n  PASSWORD=\"*******\n           ^");
  CHECK(loaded.problems[0].place == Place{1, 24});
}

TEST_CASE("an env file is a readable file of at most 1 MiB and 1000 variables") {
  Directory directory;
  auto message = [&](const std::string& name) {
    Source source;
    source.file = directory.file("rota.yaml", "apps: {web: {env_file: " + name + ", command: sh}}\n");
    Loaded loaded = load(source);
    REQUIRE(loaded.problems.size() == 1);
    return loaded.problems[0].message;
  };
  std::string start = "\"env_file\": \"" + directory.path + "/";
  CHECK(message("none") == start + "none\": there is no such file");
  CHECK(message(".") == "\"env_file\": \"" + directory.path + "\": is a directory, not a file");
  directory.file("large", std::string(kFileMax + 1, '\n'));
  CHECK(message("large") == start + "large\": is larger than 1MiB");
  std::string many;
  for (int i = 0; i < 1001; ++i) many += "A" + std::to_string(i) + "=\n";
  directory.file("many", many);
  CHECK(message("many") == start + "many\" has 1001 variables; 1000 are possible");
}
