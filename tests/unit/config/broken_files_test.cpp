// Broken files, each with the message it must give: place, words, and the text that the caret marks.
#include <catch2/catch_test_macros.hpp>
#include <string>

#include "loading.h"

using namespace rota::config;
using namespace rota::config::testing;

namespace {

struct Broken {
  const char* text;
  const char* message;  // with line and column
  const char* marked;   // "" for what has no place
};

// Without an app a file has a second problem; these stand at the top level beside a good one.
const std::string kApps = "\napps: {web: {command: sh}}\n";
// These stand in an app whose command is in order.
const std::string kApp = "apps:\n  web:\n    command: sh\n";

void check(const std::string& text, const Broken& broken) {
  Loaded loaded = load_yaml(text);
  INFO(text);
  for (const Problem& problem : loaded.problems) UNSCOPED_INFO(problem.shown);
  REQUIRE(loaded.problems.size() == 1);
  CHECK(placed(loaded.problems[0]) == broken.message);
  CHECK(marked(loaded.problems[0]) == broken.marked);
  CHECK(loaded.problems[0].kind == Problem::Kind::configuration);
}

const Broken kTopLevel[] = {
    // names
    {"thread: 4", "1:1: unknown key \"thread\"; did you mean \"threads\"?", "thread"},
    {"Listen: 80", "1:1: unknown key \"Listen\"; did you mean \"listen\"?", "Listen"},
    {"lsiten: 80", "1:1: unknown key \"lsiten\"; did you mean \"listen\"?", "lsiten"},
    {"port: 80", "1:1: unknown key \"port\"; it is called \"listen\" here", "port"},
    {"instances: 4", "1:1: unknown key \"instances\"; it is called \"workers\" here, under apps.NAME", "instances"},
    {"command: sh", "1:1: \"command\" is not known here; it belongs under apps.NAME", "command"},
    {"interval: 5s", "1:1: \"interval\" is not known here; it belongs under apps.NAME.health", "interval"},
    {"zzz: 1",
     "1:1: unknown key \"zzz\"; known here: listen, trusted_proxies, threads, runtime_dir, user, timeouts, limits, "
     "access_log, log, "
     "shutdown, boot, apps",
     "zzz"},
    {"'': 1",
     "1:1: unknown key \"\"; known here: listen, trusted_proxies, threads, runtime_dir, user, timeouts, limits, "
     "access_log, log, "
     "shutdown, boot, apps",
     "'"},
    {"control: []", "1:1: \"control\" is not available in this version", "control"},
    {"services: {}", "1:1: \"services\" is not available in this version", "services"},
    {"routes: /a", "1:1: \"routes\" is not known here; it belongs under apps.NAME", "routes"},
    {"threads: 1\nthreads: 2", "2:1: \"threads\" is given twice; the first is in line 1", "threads"},
    {"[a]: 1", "1:1: a key must be a word, not a list", "["},
    {"<<: {threads: 1}", "1:1: merging mappings with \"<<\" is not supported; write the keys out", "<<"},
    // times
    {"timeouts: {header: 5}", "1:20: \"header\" needs a unit; write 5s", "5"},
    {"timeouts: {header: 1.5}", "1:20: \"header\" needs a unit; write 1.5s", "1.5"},
    {"timeouts: {header: 5 s}", "1:20: \"header\" has a space before its unit; write 5s", "5 s"},
    {"timeouts: {header: 5sec}", "1:20: \"header\" has the unknown unit \"sec\"; write 5s", "5sec"},
    {"timeouts: {header: 5min}", "1:20: \"header\" has the unknown unit \"min\"; write 5m", "5min"},
    {"timeouts: {header: 5x}",
     "1:20: \"header\" has the unknown unit \"x\"; write a time such as 250ms, 5s, 1m, 2h or 1d", "5x"},
    {"timeouts: {header: soon}", "1:20: \"header\" must be a time such as 250ms, 5s, 1m, 2h or 1d, not \"soon\"",
     "soon"},
    {"timeouts: {header: -5s}", "1:20: \"header\" must be a time such as 250ms, 5s, 1m, 2h or 1d, not \"-5s\"", "-5s"},
    {"timeouts: {header: 0.5ms}", "1:20: \"header\" must be a whole number of milliseconds, not \"0.5ms\"", "0.5ms"},
    {"timeouts: {header: 0s}", "1:20: \"header\" must be between 10ms and 24h, not 0s", "0s"},
    {"timeouts: {header: 2d}", "1:20: \"header\" must be between 10ms and 24h, not 2d", "2d"},
    {"timeouts: {header: 18446744073709551617ms}", "1:20: \"header\" is too large: \"18446744073709551617ms\"",
     "18446744073709551617ms"},
    {"timeouts: {header: 9999999999999d}", "1:20: \"header\" is too large: \"9999999999999d\"", "9999999999999d"},
    {"timeouts: {header: [5s]}", "1:20: \"header\" must be a time such as 5s, not a list", "["},
    {"timeouts: {header: }", "1:12: \"header\" has no value; it must be a time such as 5s", "header"},
    {"timeouts: {header: ~}", "1:12: \"header\" has no value; it must be a time such as 5s", "header"},
    {"timeouts: 5s", "1:11: \"timeouts\" must be a mapping, not a single value", "5s"},
    {"timeouts:", "1:1: \"timeouts\" has no value; it must be a mapping", "timeouts"},
    // sizes
    {"limits: {head: 10}", "1:16: \"head\" needs a unit; write 10KiB", "10"},
    {"limits: {head: 10k}", "1:16: \"head\" has the unknown unit \"k\"; write 10KiB", "10k"},
    {"limits: {head: 10MB}", "1:16: \"head\" has the unknown unit \"MB\"; write 10MiB", "10MB"},
    {"limits: {head: 1GiB}", "1:16: \"head\" must be between 1KiB and 64KiB, not 1GiB", "1GiB"},
    {"limits: {head: 0}", "1:16: \"head\" must be between 1KiB and 64KiB, not 0", "0"},
    {"limits: {body: 99999999999GiB}", "1:16: \"body\" is too large: \"99999999999GiB\"", "99999999999GiB"},
    {"limits: {head: 4KiB}", "1:16: \"target\" (8KiB) cannot be larger than \"head\" (4KiB)", "4KiB"},
    // numbers and words
    {"threads: 0", "1:10: \"threads\" must be between 1 and 64, not 0", "0"},
    {"threads: many", "1:10: \"threads\" must be a whole number, not \"many\"", "many"},
    {"threads: 1.5", "1:10: \"threads\" must be a whole number, not \"1.5\"", "1.5"},
    {"threads: 0x4", "1:10: \"threads\" must be a whole number, not \"0x4\"", "0x4"},
    {"threads: 99999999999", "1:10: \"threads\" is too large: \"99999999999\"", "99999999999"},
    {"threads: {a: 1}", "1:10: \"threads\" must be a whole number, not a mapping", "{"},
    {"boot: fial", "1:7: \"boot\" must be wait or fail, not \"fial\"; did you mean \"fail\"?", "fial"},
    {"log: {level: warn}",
     "1:14: \"level\" must be debug, info, warning or error, not \"warn\"; did you mean \"warning\"?", "warn"},
    {"log: info", "1:6: \"log\" must be a mapping, not a single value", "info"},
    {"shutdown: {delay: 30s}", "1:19: \"delay\" (30s) must be shorter than \"timeout\" (25s)", "30s"},
    // paths and users
    {"runtime_dir: run", "1:14: \"runtime_dir\" must be an absolute path, not \"run\"", "run"},
    {"runtime_dir: ''", "1:14: \"runtime_dir\" is empty", "'"},
    {"runtime_dir: \"/a\\0b\"", "1:14: \"runtime_dir\" contains a NUL byte", "\""},
    {"user: no-such-user-here", "1:7: \"user\": there is no user \"no-such-user-here\"", "no-such-user-here"},
    {"access_log: of",
     "1:13: \"access_log\" must be off, stdout or a path with a \"/\" in it, not \"of\"; did you mean \"off\"?", "of"},
    {"access_log: access.log",
     "1:13: \"access_log\" must be off, stdout or a path with a \"/\" in it, not \"access.log\"", "access.log"},
    {"access_log: /no/such/place/a.log", "1:13: \"access_log\": the directory \"/no/such/place/\" does not exist",
     "/no/such/place/a.log"},
    {"access_log: /usr/bin", "1:13: \"access_log\": \"/usr/bin\" is a directory", "/usr/bin"},
    {"access_log: /tmp/", "1:13: \"access_log\" must name a file, not a directory", "/tmp/"},
    // addresses
    {"listen: localhost", "1:9: \"listen\" has no port; write \"localhost:8080\"", "localhost"},
    {"listen: localhost:http", "1:9: \"listen\" has the port \"http\", which is not a number", "localhost:http"},
    {"listen: \"localhost:\"", "1:9: \"listen\" has the port \"\", which is not a number", "\"localhost:\""},
    {"listen: 70000", "1:9: \"listen\" has the port 70000; ports are 0 to 65535", "70000"},
    {"listen: \":80\"", "1:9: \"listen\" needs a host; write \"*:80\" for all addresses", "\":80\""},
    {"listen: \"::1:80\"", "1:9: \"listen\" has several \":\"; an IPv6 address goes in brackets, as in \"[::1]:8080\"",
     "\"::1:80\""},
    {"listen: \"[::1]\"", "1:9: \"listen\" has no port; write \"[::1]:8080\"", "\"[::1]\""},
    {"listen: \"[::1:80\"", "1:9: \"listen\" has no closing \"]\"; write \"[::1]:8080\"", "\"[::1:80\""},
    {"listen: \"[1.2.3.4]:80\"", "1:9: \"listen\" has \"1.2.3.4\" in brackets, which is not an IPv6 address",
     "\"[1.2.3.4]:80\""},
    {"listen: 1.2.3:80", "1:9: \"listen\" has the host \"1.2.3\", which is not an IPv4 address", "1.2.3:80"},
    {"listen: a_b!:80", "1:9: \"listen\" has the host \"a_b!\", which is neither a name nor an address", "a_b!:80"},
    {"listen: http://a:80", "1:9: \"listen\" is not a URL; write host:port without \"http://\"", "http://a:80"},
    {"listen: /run/a.sock", "1:9: \"listen\" needs unix: in front of a path; write \"unix:/run/a.sock\"",
     "/run/a.sock"},
    {"listen: unix:///run/a", "1:9: \"listen\" is not written as a URL; write \"unix:/run/a\"", "unix:///run/a"},
    {"listen: unix:a.sock", "1:9: \"listen\" must have an absolute path after unix:, not \"a.sock\"", "unix:a.sock"},
    {"listen: \"unix:\"", "1:9: \"listen\" has no path; write unix:/run/app.sock", "\"unix:\""},
    {"listen: unix:/run/", "1:9: \"listen\" must name a socket, not a directory", "unix:/run/"},
    {"listen: []", "1:9: \"listen\" is an empty list", "["},
    {"listen: [80, 80]", "1:14: \"listen\" names \"*:80\" twice", "80"},
    {"listen: [80, \"*:80\"]", "1:14: \"listen\" names \"*:80\" twice", "\"*:80\""},
    {"listen: {proxy_protocol: false}", "1:9: \"listen\" has options but no address; write {address: 8080, ...}", "{"},
};

const Broken kInApp[] = {
    {"helth: /healthz", "4:5: unknown key \"helth\"; did you mean \"health\"?", "helth"},
    {"cwd: /tmp", "4:5: unknown key \"cwd\"; it is called \"directory\" here", "cwd"},
    {"balance: round_robin", "4:5: \"balance\" is not available in this version", "balance"},
    {"sticky: {cookie: a}", "4:5: \"sticky\" is not available in this version", "sticky"},
    {"threads: 2", "4:5: \"threads\" is not known here; it belongs to the top level of the file", "threads"},
    {"header: 2s", "4:5: \"header\" is not known here; it belongs under timeouts", "header"},
    {"command: sh", "4:5: \"command\" is given twice; the first is in line 3", "command"},
    {"workers: 0", "4:14: \"workers\" must be between 1 and 1024, not 0", "0"},
    {"workers: 1025", "4:14: \"workers\" must be between 1 and 1024, not 1025", "1025"},
    {"workers: aut", "4:14: \"workers\" must be a whole number or auto, not \"aut\"; did you mean \"auto\"?", "aut"},
    {"workers: -1", "4:14: \"workers\" must be a whole number or auto, not \"-1\"", "-1"},
    {"workers: [1]", "4:14: \"workers\" must be a whole number or auto, not a list", "["},
    {"socket: port", "4:13: \"socket\" port is not available in this version; only path is", "port"},
    {"socket: fd", "4:13: \"socket\" fd is not available in this version; only path is", "fd"},
    {"socket: paht", "4:13: \"socket\" must be path, not \"paht\"; did you mean \"path\"?", "paht"},
    {"health: healthz", "4:13: \"health\" must begin with \"/\", not be \"healthz\"", "healthz"},
    {"health: /a b", "4:15: \"health\": a request's path cannot contain this character; write it as %XX", " "},
    {"health: {pth: /a}", "4:14: unknown key \"pth\"; did you mean \"path\"?", "pth"},
    {"health: {path: /a, repair_after: 60s}", "4:24: \"repair_after\" is not available in this version",
     "repair_after"},
    {"health: {unhealthy_after: 0}", "4:31: \"unhealthy_after\" must be between 1 and 100, not 0", "0"},
    {"health: [a]", "4:13: \"health\" must be a path such as /healthz, or a mapping, not a list", "["},
    {"ready: http", "4:12: \"ready\" is http, which needs a path to ask; add health: /healthz", "http"},
    {"ready: notify", "4:12: \"ready\" notify is not available in this version; only auto and http are", "notify"},
    {"start_timeout: 60", "4:20: \"start_timeout\" needs a unit; write 60s", "60"},
    {"restart: {delay: 40s}", "4:22: \"delay\" (40s) is longer than \"max_delay\" (30s)", "40s"},
    {"restart: {max_delay: 100ms}", "4:26: \"delay\" (250ms) is longer than \"max_delay\" (100ms)", "100ms"},
    {"stop: {signal: SIGTEM}",
     "4:20: \"signal\" must be TERM, INT, QUIT, HUP, USR1, USR2 or WINCH, not \"SIGTEM\"; did you mean \"TERM\"?",
     "SIGTEM"},
    {"stop: {signal: KILL}",
     "4:20: \"signal\" must be TERM, INT, QUIT, HUP, USR1, USR2 or WINCH, not \"KILL\"; KILL comes by itself after "
     "\"grace\"",
     "KILL"},
    {"stop: {drain: 30}", "4:19: \"drain\" needs a unit; write 30s", "30"},
    {"queue: {size: 1000000}", "4:19: \"size\" must be between 0 and 100000, not 1000000", "1000000"},
    {"queue: 100", "4:12: \"queue\" must be a mapping, not a single value", "100"},
    {"retry: {attempts: 11}", "4:23: \"attempts\" must be between 0 and 10, not 11", "11"},
    {"timeouts: {respone: 1s}", "4:16: unknown key \"respone\"; did you mean \"response\"?", "respone"},
    {"directory: /no/such/directory", "4:16: \"directory\": \"/no/such/directory\" does not exist",
     "/no/such/directory"},
    {"directory: /bin/sh", "4:16: \"directory\": \"/bin/sh\" is not a directory", "/bin/sh"},
    {"directory: ~/app", "4:16: \"directory\" begins with \"~\", which only a shell expands; write the whole path",
     "~/app"},
    {"user: no-such-user-here", "4:11: \"user\": there is no user \"no-such-user-here\"", "no-such-user-here"},
    {"env: [A=1]", "4:10: \"env\" must be a mapping of names to texts, not a list", "["},
    {"env: {A: }", "4:11: \"A\" has no value; write \"\" for an empty one", "A"},
    {"env: {A: [1]}", "4:14: \"A\" must be a text, not a list", "["},
    {"env: {A: 1, A: 2}", "4:17: \"A\" is given twice; the first is in line 4", "A"},
    {"env: {A=B: 1}", "4:11: \"A=B\" cannot be the name of a variable", "A=B"},
    {"env: {A: \"x\\0\"}", "4:14: \"A\" contains a NUL byte", "\""},
    {"servers: [\"a:80\"]", "3:14: an app has a command or servers, not both", "sh"},
};

const Broken kCommands[] = {
    {"a | b",
     "1:25: \"command\": \"|\" needs a shell, and none is used here; quote it, or write command: [\"sh\", \"-c\", "
     "\"...\"]",
     "|"},
    {"a && b",
     "1:25: \"command\": \"&&\" needs a shell, and none is used here; quote it, or write command: [\"sh\", \"-c\", "
     "\"...\"]",
     "&&"},
    {"a; b",
     "1:24: \"command\": \";\" needs a shell, and none is used here; quote it, or write command: [\"sh\", \"-c\", "
     "\"...\"]",
     ";"},
    {"a > b",
     "1:25: \"command\": \">\" needs a shell, and none is used here; quote it, or write command: [\"sh\", \"-c\", "
     "\"...\"]",
     ">"},
    {"a $(b)",
     "1:25: \"command\": \"$(\" needs a shell, and none is used here; quote it, or write command: [\"sh\", \"-c\", "
     "\"...\"]",
     "$("},
    {"a -p $PORT",
     "1:28: \"command\": \"$PORT\" needs a shell, and none is used here; quote it, or write command: [\"sh\", \"-c\", "
     "\"...\"]",
     "$PORT"},
    {"a 'b", "1:25: \"command\": this quote is not closed", "'"},
    {"A=1 b",
     "1:23: \"command\": \"A=\" in front of a command needs a shell, and none is used here; write it under env", "A="},
    {"''", "1:23: \"command\" is empty", "'"},
    {"[]", "1:23: \"command\" is an empty list", "["},
    {"['', a]", "1:23: \"command\" begins with an empty word; the first names the program", "["},
    {"[sh, [a]]", "1:28: \"command\" must be a list of words, not a list", "["},
    {"no-such-program x",
     "1:23: \"command\" names the program \"no-such-program\", which is not on PATH; install it, or write its full "
     "path",
     "no-such-program x"},
    {"[no-such-program, x]",
     "1:24: \"command\" names the program \"no-such-program\", which is not on PATH; install it, or write its full "
     "path",
     "no-such-program"},
    {"/no/such/program", "1:23: \"command\" names the program \"/no/such/program\", which does not exist",
     "/no/such/program"},
    {"/usr/bin", "1:23: \"command\" names the program \"/usr/bin\", which is a directory", "/usr/bin"},
    {"/etc/passwd",
     "1:23: \"command\" names the program \"/etc/passwd\", which is not executable; run chmod +x, or name its "
     "interpreter first",
     "/etc/passwd"},
};

const Broken kSyntax[] = {
    {"listen: [80, 90\n", "1:9: this \"[\" is not closed", "["},
    {"log: {level: info\n", "1:6: this \"{\" is not closed", "{"},
    {"user: \"me\nthreads: 1\n", "1:7: this quote is not closed", "\""},
    {"user: 'me", "1:1: the quote that begins after this is not closed", "user"},
    {"timeouts:\n\theader: 1s\n", "2:1: a tab cannot indent; use spaces", " "},
    {"listen: [::]:80\n", "1:9: an address with brackets needs quotes, as in \"[::]:8080\"", "[::]"},
    {"user: a: b\n", "1:8: no \": \" is possible here: check the indentation, or quote a value that contains \": \"",
     ":"},
    {"threads: 1\n  boot: wait\n",
     "2:7: no \": \" is possible here: check the indentation, or quote a value that contains \": \"", ":"},
    {"user: @me\n", "1:7: this character is not possible here: quote the value", "@"},
    {"user: *me\n", "1:7: this alias names no anchor", "*"},
    {"user: \"a\\qb\"\n", "1:9: no escape begins so: write \"\\\\\" for a backslash, or use single quotes", "\\q"},
    {"listen: [${PORT}, 80]\n", "1:10: between brackets or braces a variable needs quotes, as in \"${NAME}\"", "${"},
    {"listen: [\"${PORT}\", 80\n", "1:9: this \"[\" is not closed", "["},
    {"user: !!str me\n", "1:7: tags are not supported", "!"},
    {"user: &a [*a]\n", "1:11: this alias stands inside the very value that it names", "*"},
    {"threads: 1\n---\nthreads: 2\n", "2:1: a second document begins here; a file holds one", "-"},
    {"- a\nuser: b\n", "2:1: this does not belong to what stands above: check the indentation", "u"},
    {"\"user", "1:1: the quote that begins after this is not closed", "\""},
    {"just words\n", "1:1: a configuration is a mapping such as listen: 8080, not a single value", "just words"},
    {"[a, b]\n", "1:1: a configuration is a mapping such as listen: 8080, not a list", "["},
    {"user: a\rb\n", "1:8: a carriage return without a line feed", "?"},
    {"user: a\x01\n", "1:8: control character 0x01", "?"},
    {"user: \xC3(\n", "1:7: byte 0xC3 is not valid UTF-8", "?"},
};

const Broken kApart[] = {
    {"apps: {web: }", "1:8: app \"web\" must be a mapping such as {command: node server.js}, not nothing", "web"},
    {"apps: {web: sh}", "1:13: app \"web\" must be a mapping such as {command: node server.js}, not a single value",
     "sh"},
    {"apps: {web: {}}", "1:8: app \"web\" needs a command (rota starts its workers) or servers (which run already)",
     "web"},
    {"apps: [web]", "1:7: \"apps\" must be a mapping, not a list", "["},
    {"apps: {Web: {command: sh}}",
     "1:8: an app's name has 1 to 32 of a-z, 0-9, \"-\" and \"_\", and begins with a letter or digit; \"Web\" does not "
     "fit",
     "Web"},
    {"apps: {../x: {command: sh}}",
     "1:8: an app's name has 1 to 32 of a-z, 0-9, \"-\" and \"_\", and begins with a letter or digit; \"../x\" does "
     "not fit",
     "../x"},
    {"apps: {a: {command: sh}, b: {command: sh}}",
     "1:26: app \"b\" has no routes, and neither has app \"a\" in line 1: one app alone can have what no route "
     "matches; "
     "add routes: such as example.com, /api or \":9090\"",
     "b"},
    {"apps: {}", "1:7: there are no apps, so nothing would be run", "{"},
    {"threads: 1", "there are no apps, so nothing would be run", ""},
    {"", "the file is empty", ""},
    {"# nothing\n", "the file is empty", ""},
    {"---\n", "the file is empty", ""},
    {"apps: {a: {servers: \"a:80\"}}",
     "1:21: \"servers\" must be a list such as [\"127.0.0.1:3000\"], not a single value", "\"a:80\""},
    {"apps: {a: {servers: []}}", "1:21: \"servers\" is an empty list", "["},
    {"apps: {a: {servers: [80]}}", "1:22: \"servers\" needs a host; write 127.0.0.1:80", "80"},
    {"apps: {a: {servers: [\"*:80\"]}}", "1:22: \"servers\" must name one host to connect to, not *", "\"*:80\""},
    {"apps: {a: {servers: [\"a:0\"]}}", "1:22: \"servers\" has the port 0; ports are 1 to 65535", "\"a:0\""},
    {"apps: {a: {servers: [\"a:80\"], workers: 2}}", "1:40: \"workers\" has no meaning for an app with servers", "2"},
    {"apps: {a: {servers: [\"a:80\"], directory: /tmp}}", "1:42: \"directory\" has no meaning for an app with servers",
     "/tmp"},
};

}  // namespace

TEST_CASE("broken keys of the top level") {
  for (const Broken& broken : kTopLevel) check(broken.text + kApps, broken);
}

TEST_CASE("broken keys of an app") {
  for (const Broken& broken : kInApp) check(kApp + "    " + broken.text + "\n", broken);
}

TEST_CASE("broken commands") {
  for (const Broken& broken : kCommands) check("apps: {web: {command: " + std::string(broken.text) + "}}\n", broken);
}

TEST_CASE("broken syntax is named alone, at the first place") {
  for (const Broken& broken : kSyntax) check(broken.text, broken);
}

TEST_CASE("broken files as a whole") {
  for (const Broken& broken : kApart) check(broken.text, broken);
}
