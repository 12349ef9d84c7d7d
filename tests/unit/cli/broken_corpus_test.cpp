// tests/broken: broken configurations, each with all that `rota check` says of it. The files are checked as if they
// stood in /etc/rota. With ROTA_REWRITE_EXPECTED set the expectations are written anew; read them before they are kept.
#include <algorithm>
#include <map>

#include "running.h"

using namespace rota::cli::testing;

namespace {

constexpr std::size_t kLeast = 100;
const std::string kCorpus = std::string(ROTA_SOURCE) + "/tests/broken";

// The environment that the expectations are about.
class Surroundings {
 public:
  Surroundings() : before_(std::filesystem::current_path()) {
    std::filesystem::current_path(kCorpus);
    ::setenv("PATH", "/usr/bin:/bin", 1);
    ::setenv("SHOP_WORKERS", "many", 1);
    ::setenv("SHOP_COMMAND", "node server.js", 1);
    ::setenv("SHOP_TOKEN", "hunter2", 1);
    ::setenv("SHOP_PATH", "~/shop", 1);
    ::unsetenv("SHOP_NOTHING");
  }
  ~Surroundings() { std::filesystem::current_path(before_); }
  Surroundings(const Surroundings&) = delete;
  Surroundings& operator=(const Surroundings&) = delete;

 private:
  std::filesystem::path before_;
};

std::string read(const std::string& path) {
  std::stringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

std::vector<std::string> names() {
  std::vector<std::string> found;
  for (const auto& entry : std::filesystem::directory_iterator(kCorpus)) {
    if (entry.path().extension() == ".yaml") found.push_back(entry.path().stem());
  }
  std::sort(found.begin(), found.end());
  return found;
}

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  for (std::size_t at = 0; (at = text.find(from, at)) != std::string::npos; at += to.size()) {
    text.replace(at, from.size(), to);
  }
  return text;
}

// The name of the file and the places in it are what may differ between two answers that are the same.
std::string without_places(const std::string& name, std::string text) {
  const std::string start = name + ".yaml:";
  for (std::size_t at = 0; (at = text.find(start, at)) != std::string::npos;) {
    std::size_t end = text.find_first_not_of("0123456789:", at + start.size());
    text.erase(at, end - at);
  }
  return replaced(text, name, "");
}

}  // namespace

TEST_CASE("every broken file is answered as expected") {
  Surroundings surroundings;
  bool rewrite = std::getenv("ROTA_REWRITE_EXPECTED") != nullptr;
  for (const std::string& name : names()) {
    INFO(name);
    Outcome outcome = rota_with({"check", name + ".yaml"});
    CHECK(outcome.code == 78);
    CHECK(outcome.out.empty());
    std::string said = replaced(outcome.err, kCorpus, "/etc/rota");
    if (rewrite) std::ofstream(name + ".expected") << said;
    CHECK(said == read(name + ".expected"));
    CHECK(said.find("hunter2") == std::string::npos);
  }
}

TEST_CASE("the broken files are many, and no two answers are the same") {
  std::map<std::string, std::string> seen;
  for (const std::string& name : names()) {
    std::string text = without_places(name, read(kCorpus + "/" + name + ".expected"));
    auto [first, is_new] = seen.try_emplace(text, name);
    INFO(name << " is answered as " << first->second);
    CHECK(is_new);
    CHECK_FALSE(text.empty());
  }
  CHECK(seen.size() >= kLeast);
  for (const auto& entry : std::filesystem::directory_iterator(kCorpus)) {
    if (entry.path().extension() != ".expected") continue;
    INFO(entry.path());
    CHECK(std::filesystem::exists(kCorpus + "/" + entry.path().stem().string() + ".yaml"));
  }
}
