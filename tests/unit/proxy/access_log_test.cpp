#include "rota/proxy/access_log.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <unistd.h>

#include <atomic>
#include <catch2/catch_test_macros.hpp>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <thread>

using namespace rota;
using namespace rota::proxy;

namespace {

// A file system of 64 KiB, for root.
class TinyDisk {
 public:
  TinyDisk() {
    char pattern[] = "/tmp/rp-XXXXXX";
    REQUIRE(::mkdtemp(pattern) != nullptr);
    path_ = pattern;
    mounted_ = ::mount("tmpfs", pattern, "tmpfs", 0, "size=64k") == 0;
  }
  ~TinyDisk() {
    if (mounted_) ::umount2(path_.c_str(), MNT_DETACH);
    std::filesystem::remove_all(path_);
  }
  TinyDisk(const TinyDisk&) = delete;
  TinyDisk& operator=(const TinyDisk&) = delete;
  bool mounted() const { return mounted_; }
  std::string file() const { return path_ + "/access.log"; }

 private:
  std::string path_;
  bool mounted_ = false;
};

std::string text_of(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}
void wait_until(const std::function<bool()>& so) {
  auto end = std::chrono::steady_clock::now() + 20s;
  while (!so()) {
    REQUIRE(std::chrono::steady_clock::now() < end);
    std::this_thread::sleep_for(1ms);
  }
}

}  // namespace

TEST_CASE("on a full disk access lines are dropped whole and counted, and written again when there is room") {
  TinyDisk disk;
  if (!disk.mounted()) SKIP("needs root");
  LogWriter writer;
  writer.use(UniqueFd(::open(disk.file().c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640)));
  std::string line = std::string(999, 'x') + "\n";
  std::string lines;
  for (int i = 0; i < 100; i++) lines += line;
  writer.hand_over(lines);
  wait_until([&] { return writer.dropped_lines() > 0; });
  std::string written = text_of(disk.file());
  CHECK(written.size() % line.size() == 0);
  CHECK(written.size() / line.size() + writer.dropped_lines() == 100);
  REQUIRE(::truncate(disk.file().c_str(), 0) == 0);
  std::string more = "again\n";
  writer.hand_over(more);
  wait_until([&] { return text_of(disk.file()) == "again\n"; });
}

TEST_CASE("a pipe that nobody reads holds the end up no longer than the writer's patience") {
  int ends[2];
  REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);  // blocking, as stdout may be
  UniqueFd reader(ends[0]);
  auto writer = std::make_unique<LogWriter>();
  writer->use(UniqueFd(ends[1]));
  std::string lines;
  for (int i = 0; i < 1000; i++) lines += std::string(999, 'x') + "\n";
  writer->hand_over(lines);
  int waiting = 0;
  wait_until([&] { return ::ioctl(reader.get(), FIONREAD, &waiting) == 0 && waiting == 64 * 1024; });
  std::atomic<bool> gone = false;
  std::thread end([&] {
    writer.reset();
    gone = true;
  });
  auto give_up = std::chrono::steady_clock::now() + 20s;
  while (!gone && std::chrono::steady_clock::now() < give_up) std::this_thread::sleep_for(1ms);
  CHECK(gone);
  reader.reset();  // lets go whoever still waits
  end.join();
}
