// Counts of out-of-memory kills on fake /proc and /sys trees: both versions of control groups, and none.
#include "rota/sys/oom.h"

#include <catch2/catch_test_macros.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

using rota::sys::OomCounter;
using rota::sys::OomKills;

namespace {

class Tree {
 public:
  Tree() {
    char name[] = "/tmp/rota-oom-XXXXXX";
    REQUIRE(::mkdtemp(name) != nullptr);
    root = name;
  }
  ~Tree() { std::filesystem::remove_all(root); }
  Tree(const Tree&) = delete;
  Tree& operator=(const Tree&) = delete;
  void file(const std::string& path, const std::string& text) const {
    std::filesystem::create_directories(std::filesystem::path(root + path).parent_path());
    std::ofstream(root + path) << text;
  }
  OomKills read() const { return OomCounter(root).read(); }
  std::string root;
};

constexpr const char* kV2 = "30 24 0:26 / /sys/fs/cgroup rw shared:9 - cgroup2 cgroup2 rw,nsdelegate\n";
constexpr const char* kHybrid =
    "31 30 0:27 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
    "34 30 0:30 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n";

}  // namespace

TEST_CASE("where nothing is to be seen nothing is counted") {
  Tree tree;
  CHECK(tree.read() == OomKills{});
}

TEST_CASE("version 2 counts in memory.events, version 1 in the memory controller's oom_control") {
  Tree tree;
  tree.file("/proc/vmstat", "nr_free_pages 5\noom_kill 7\nallocstall 0\n");
  SECTION("version 2") {
    tree.file("/proc/self/cgroup", "0::/system.slice/rota.service\n");
    tree.file("/proc/self/mountinfo", kV2);
    tree.file("/sys/fs/cgroup/system.slice/rota.service/memory.events",
              "low 0\nhigh 0\nmax 4\noom 2\noom_kill 3\noom_group_kill 1\n");
  }
  SECTION("version 1 beside an empty version 2") {
    tree.file("/proc/self/cgroup", "4:memory:/box\n0::/\n");
    tree.file("/proc/self/mountinfo", kHybrid);
    tree.file("/sys/fs/cgroup/memory/box/memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 3\n");
  }
  CHECK(tree.read() == OomKills{3, 7});
}

TEST_CASE("a file that shrinks to nothing, or is no number, counts as not to be seen") {
  Tree tree;
  tree.file("/proc/self/cgroup", "0::/\n");
  tree.file("/proc/self/mountinfo", kV2);
  tree.file("/proc/vmstat", "oom_kill many\n");
  tree.file("/sys/fs/cgroup/memory.events", "oom_kill 1\n");
  OomCounter counter(tree.root);
  CHECK(counter.read() == OomKills{1, std::nullopt});
  tree.file("/sys/fs/cgroup/memory.events", "");
  CHECK(counter.read() == OomKills{});
}
