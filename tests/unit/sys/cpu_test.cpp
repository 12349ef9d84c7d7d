// available_cpus() on fake /proc and /sys trees: plain hosts, containers with and without a namespace, both versions.
#include "rota/sys/cpu.h"

#include <catch2/catch_test_macros.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

using rota::sys::available_cpus;
using rota::sys::CpuRoots;

namespace {

// A directory that looks like / and goes away with the test.
class Tree {
 public:
  Tree() {
    char name[] = "/tmp/rota-cpu-XXXXXX";
    REQUIRE(::mkdtemp(name) != nullptr);
    root_ = name;
  }
  ~Tree() { std::filesystem::remove_all(root_); }
  Tree(const Tree&) = delete;
  Tree& operator=(const Tree&) = delete;

  void file(const std::string& path, const std::string& text) const {
    std::filesystem::create_directories(std::filesystem::path(root_ + path).parent_path());
    std::ofstream(root_ + path) << text;
  }
  std::uint32_t cpus(std::uint32_t affinity = 64) const { return available_cpus({root_, affinity}); }

 private:
  std::string root_;
};

constexpr const char* kMountV2 =
    "30 24 0:26 / /sys/fs/cgroup rw,nosuid,nodev shared:9 - cgroup2 cgroup2 rw,nsdelegate\n";
constexpr const char* kMountsV1 =
    "22 1 8:1 / / rw - ext4 /dev/sda1 rw\n"
    "31 30 0:27 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
    "32 30 0:28 / /sys/fs/cgroup/cpu,cpuacct rw shared:10 - cgroup cgroup rw,cpu,cpuacct\n"
    "33 30 0:29 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset\n";

}  // namespace

TEST_CASE("without any control group the affinity decides") {
  Tree tree;
  CHECK(tree.cpus(3) == 3);
  CHECK(tree.cpus(1) == 1);
}

TEST_CASE("the real system has at least one CPU and never more than its affinity") {
  CHECK(available_cpus() >= 1);
  CHECK(available_cpus({"", 1}) == 1);
}

TEST_CASE("a v2 quota limits and is rounded up") {
  Tree tree;
  tree.file("/proc/self/cgroup", "0::/system.slice/rota.service\n");
  tree.file("/proc/self/mountinfo", kMountV2);
  const std::string own = "/sys/fs/cgroup/system.slice/rota.service/cpu.max";
  SECTION("max is no limit") {
    tree.file(own, "max 100000\n");
    CHECK(tree.cpus(8) == 8);
  }
  SECTION("whole CPUs") {
    tree.file(own, "400000 100000\n");
    CHECK(tree.cpus(8) == 4);
  }
  SECTION("one and a half are two") {
    tree.file(own, "150000 100000\n");
    CHECK(tree.cpus(8) == 2);
  }
  SECTION("a tenth is one") {
    tree.file(own, "10000 100000\n");
    CHECK(tree.cpus(8) == 1);
  }
  SECTION("the affinity may be tighter") {
    tree.file(own, "400000 100000\n");
    CHECK(tree.cpus(2) == 2);
  }
  SECTION("another period") {
    tree.file(own, "30000 10000\n");
    CHECK(tree.cpus(8) == 3);
  }
  SECTION("nonsense does not limit") {
    for (const char* text : {"", "100000", "x y\n", "100000 0\n", "-1 100000\n"}) {
      tree.file(own, text);
      CHECK(tree.cpus(8) == 8);
    }
  }
}

TEST_CASE("the tightest v2 quota on the way to the root wins") {
  Tree tree;
  tree.file("/proc/self/cgroup", "0::/a/b/c\n");
  tree.file("/proc/self/mountinfo", kMountV2);
  tree.file("/sys/fs/cgroup/a/b/c/cpu.max", "800000 100000\n");
  tree.file("/sys/fs/cgroup/a/cpu.max", "200000 100000\n");
  CHECK(tree.cpus() == 2);
  tree.file("/sys/fs/cgroup/a/b/cpu.max", "100000 100000\n");
  CHECK(tree.cpus() == 1);
}

TEST_CASE("a control group namespace: the group is / and its quota stands at the mount point") {
  Tree tree;
  tree.file("/proc/self/cgroup", "0::/\n");
  tree.file("/proc/self/mountinfo", kMountV2);
  tree.file("/sys/fs/cgroup/cpu.max", "300000 100000\n");
  CHECK(tree.cpus() == 3);
}

TEST_CASE("a container without a namespace: the mount shows its own group as root") {
  Tree tree;
  tree.file("/proc/self/cgroup", "0::/docker/abc/inner\n");
  tree.file("/proc/self/mountinfo", "30 24 0:26 /docker/abc /sys/fs/cgroup ro - cgroup2 cgroup rw\n");
  tree.file("/sys/fs/cgroup/cpu.max", "500000 100000\n");
  CHECK(tree.cpus() == 5);
  tree.file("/sys/fs/cgroup/inner/cpu.max", "200000 100000\n");
  CHECK(tree.cpus() == 2);
}

TEST_CASE("a group outside what is mounted falls back to the mount point") {
  Tree tree;
  tree.file("/proc/self/mountinfo", "30 24 0:26 /docker/abc /sys/fs/cgroup ro - cgroup2 cgroup rw\n");
  tree.file("/sys/fs/cgroup/cpu.max", "200000 100000\n");
  for (const char* group : {"0::/../other\n", "0::/docker/abcdef\n", "0::/docker/abc\n", "0::/elsewhere\n"}) {
    tree.file("/proc/self/cgroup", group);
    CHECK(tree.cpus() == 2);
  }
}

TEST_CASE("the mount point is found where mountinfo says, escapes included") {
  Tree tree;
  tree.file("/proc/self/cgroup", "0::/x\n");
  tree.file("/proc/self/mountinfo", "30 24 0:26 / /mnt/control\\040groups rw - cgroup2 none rw\n");
  tree.file("/mnt/control groups/x/cpu.max", "200000 100000\n");
  CHECK(tree.cpus() == 2);
}

TEST_CASE("v1 quotas come from the cpu controller alone, the tightest on the way up") {
  Tree tree;
  tree.file("/proc/self/cgroup", "5:memory:/m\n4:cpu,cpuacct:/docker/abc\n3:cpuset:/s\n");
  tree.file("/proc/self/mountinfo", kMountsV1);
  const std::string base = "/sys/fs/cgroup/cpu,cpuacct";
  tree.file(base + "/docker/abc/cpu.cfs_quota_us", "-1\n");
  tree.file(base + "/docker/abc/cpu.cfs_period_us", "100000\n");
  CHECK(tree.cpus(16) == 16);
  tree.file(base + "/docker/abc/cpu.cfs_quota_us", "250000\n");
  CHECK(tree.cpus(16) == 3);
  tree.file(base + "/docker/cpu.cfs_quota_us", "50000\n");
  tree.file(base + "/docker/cpu.cfs_period_us", "50000\n");
  CHECK(tree.cpus(16) == 1);
}

TEST_CASE("both versions mounted: the v1 controller limits, the empty v2 tree does not") {
  Tree tree;
  tree.file("/proc/self/cgroup", "4:cpu,cpuacct:/app\n0::/app\n");
  tree.file("/proc/self/mountinfo",
            std::string(kMountsV1) + "40 30 0:40 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n");
  tree.file("/sys/fs/cgroup/cpu,cpuacct/app/cpu.cfs_quota_us", "200000\n");
  tree.file("/sys/fs/cgroup/cpu,cpuacct/app/cpu.cfs_period_us", "100000\n");
  CHECK(tree.cpus() == 2);
}

TEST_CASE("damaged files never break it") {
  Tree tree;
  tree.file("/proc/self/cgroup", "0::\n:::\nx\n\n0:");
  tree.file("/proc/self/mountinfo", "1 2 3 - cgroup2\n - \n - cgroup2 x y\n");
  CHECK(tree.cpus(4) == 4);
}
