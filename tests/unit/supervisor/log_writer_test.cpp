// The thread of a log file, and the files of several apps together: what pends, what blocks, what is one and the same.
#include "rota/supervisor/log_writer.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <catch2/catch_test_macros.hpp>
#include <filesystem>
#include <fstream>
#include <functional>
#include <thread>

#include "fake_keeper.h"
#include "rota/supervisor/worker_log.h"

using namespace rota;
using namespace rota::supervisor;
using test::ScratchDir;

namespace {

constexpr Duration kPatience{20'000};

std::string text_of(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}
bool exists(const std::string& path) { return std::filesystem::exists(path); }
std::string numbered(int from, int to) {
  std::string lines;
  for (int i = from; i < to; i++) lines += "line " + std::to_string(i) + "\n";
  return lines;
}
bool becomes_true(const std::function<bool()>& so) {
  auto end = std::chrono::steady_clock::now() + kPatience;
  while (!so()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::sleep_for(1ms);
  }
  return true;
}

config::App app_with_file(const std::string& name, const std::string& file) {
  config::App app;
  app.name = name;
  app.log.file = file;
  return app;
}

// A file on a disk that hangs: whoever writes to it more than 64 KiB waits until it is let go. A pipe, which LogFile
// opens without blocking; the test takes that back.
class HungFile {
 public:
  explicit HungFile(const std::string& path) : path_(path) {
    REQUIRE(::mkfifo(path.c_str(), 0600) == 0);
    reader_.reset(::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
    REQUIRE(reader_);
  }
  // Once LogFile has opened it.
  void hang() const {
    int found = 0;
    for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
      std::error_code gone;  // the directory that is being read
      if (std::filesystem::read_symlink(entry.path(), gone) != path_) continue;
      int fd = std::stoi(entry.path().filename());
      int flags = ::fcntl(fd, F_GETFL);
      if ((flags & O_ACCMODE) != O_WRONLY) continue;
      REQUIRE(::fcntl(fd, F_SETFL, flags & ~O_NONBLOCK) == 0);
      found++;
    }
    REQUIRE(found == 1);
  }
  bool full() const {
    // One page less than its size may be free for ever, when lines do not fill pages.
    int bytes = 0;
    return ::ioctl(reader_.get(), FIONREAD, &bytes) == 0 && bytes >= 60 * 1024;
  }
  void drain() const {
    char buffer[64 * 1024];
    while (::read(reader_.get(), buffer, sizeof buffer) > 0) {
    }
  }

 private:
  std::string path_;
  UniqueFd reader_;
};

}  // namespace

TEST_CASE("a writer's thread writes everything before it ends") {
  ScratchDir dir;
  std::string path = dir.path() + "/a.log";
  int stream = 0;
  auto threads = std::make_shared<LogThreads>();
  {
    LogWriter writer(LogFile(path, {}), "the log", path, threads);
    for (int i = 0; i < 1000; i++) writer.put(numbered(i, i + 1), &stream);
  }
  REQUIRE(threads->wait(kPatience));
  REQUIRE(text_of(path) == numbered(0, 1000));
}

TEST_CASE("a line whose end was dropped is not lengthened by the next one") {
  ScratchDir dir;
  std::string path = dir.path() + "/a.log";
  int stream = 0;
  auto threads = std::make_shared<LogThreads>();
  {
    LogWriter writer(LogFile(path, {}), "the log", path, threads);
    writer.put("begun", &stream);
    writer.put(std::string(LogWriter::kPendingMax, 'x') + "\n", &stream);
    writer.put("next\n", &stream);
  }
  REQUIRE(threads->wait(kPatience));
  REQUIRE(text_of(path) == "begun\nnext\n");
}

TEST_CASE("a writer opens its file again when asked, and with new limits keeps to these") {
  ScratchDir dir;
  std::string path = dir.path() + "/a.log";
  int stream = 0;
  auto threads = std::make_shared<LogThreads>();
  LogWriter writer(LogFile(path, {}), "the log", path, threads);
  writer.put("one\n", &stream);
  REQUIRE(becomes_true([&] { return text_of(path) == "one\n"; }));
  std::filesystem::rename(path, path + ".old");
  writer.open_again();
  REQUIRE(becomes_true([&] { return exists(path); }));
  writer.set_limits({Bytes{4}, 1});
  writer.put("two\n", &stream);
  REQUIRE(becomes_true([&] { return text_of(path) == "two\n"; }));
  writer.put("three\n", &stream);
  REQUIRE(becomes_true([&] { return text_of(path) == "three\n" && text_of(path + ".1") == "two\n"; }));
  REQUIRE(text_of(path + ".old") == "one\n");
}

TEST_CASE("nobody who has lines for a writer waits for its disk") {
  ScratchDir dir;
  std::string path = dir.path() + "/pipe";
  HungFile disk(path);
  auto threads = std::make_shared<LogThreads>();
  LogFile file(path, {});
  REQUIRE(file.open());
  disk.hang();
  LogWriter writer(std::move(file), "the log", path, threads);
  std::atomic<int> puts = 0;
  std::thread worker([&] {
    int stream = 0;
    std::string much = numbered(0, 10'000);
    writer.put(much, &stream);
    while (!disk.full()) std::this_thread::yield();  // now the writer's thread stands in write(2)
    for (; puts < 200; puts++) writer.put(much, &stream);
    writer.set_limits({Bytes{1}, 1});
    writer.stop();
    puts++;
  });
  CHECK(becomes_true([&] { return puts == 201; }));
  CHECK_FALSE(threads->wait(Duration(0)));  // and there it has stood all the while
  CHECK(becomes_true([&] {
    disk.drain();
    return threads->wait(Duration(0));
  }));
  worker.join();
}

TEST_CASE("the files of all apps together are waited for no longer than one") {
  constexpr int kFiles = 10;
  ScratchDir dir;
  std::vector<std::unique_ptr<HungFile>> disks;
  std::vector<config::App> apps;
  for (int i = 0; i < kFiles; i++) {
    std::string name = "app" + std::to_string(i);
    disks.push_back(std::make_unique<HungFile>(dir.path() + "/" + name));
    apps.push_back(app_with_file(name, dir.path() + "/" + name));
  }
  auto logs = std::make_unique<WorkerLogs>(WorkerLogs::Settings{});
  REQUIRE_FALSE(logs->use(apps, {}, false));
  auto threads = logs->threads();
  for (int i = 0; i < kFiles; i++) {
    disks[static_cast<std::size_t>(i)]->hang();
    auto log = logs->of(apps[static_cast<std::size_t>(i)].name);
    for (int line = 0; line < 100; line++) {
      log->write_line({"web", 0, 1}, OutputKind::standard_output, std::string(2000, 'x'), false, nullptr);
    }
    log->flush(nullptr);
  }
  for (const auto& disk : disks) REQUIRE(becomes_true([&] { return disk->full(); }));
  auto before = std::chrono::steady_clock::now();
  auto most = kFiles * WorkerLogs::kLastPatience / 2;
  SECTION("at a reload") { REQUIRE_FALSE(logs->use({}, {}, false)); }
  SECTION("at the end") { logs.reset(); }
  CHECK(std::chrono::steady_clock::now() - before < most);
  CHECK(becomes_true([&] {
    for (const auto& disk : disks) disk->drain();
    return threads->wait(Duration(0));
  }));
}

TEST_CASE("the log of an app that has gone is closed, and the end does not wait for it") {
  ScratchDir dir;
  std::string path = dir.path() + "/web.log";
  auto logs = std::make_unique<WorkerLogs>(WorkerLogs::Settings{});
  REQUIRE_FALSE(logs->use({app_with_file("web", path)}, {}, false));
  auto threads = logs->threads();
  auto of_a_worker = logs->of("web");
  REQUIRE_FALSE(logs->use({}, {}, false));
  CHECK_FALSE(threads->wait(Duration(0)));
  SECTION("its last worker has ended") {
    of_a_worker.reset();
    logs->forget_unused();
  }
  SECTION("its last worker has not, when all ends") { logs.reset(); }
  CHECK(threads->wait(kPatience));
}

TEST_CASE("two apps' logs that are one file by whatever name are refused, and nothing changes") {
  ScratchDir dir;
  std::string path = dir.path() + "/a.log";
  std::ofstream(path) << "";
  std::string other = dir.path() + "/b.log";
  WorkerLogs logs{WorkerLogs::Settings{}};
  REQUIRE_FALSE(logs.use({app_with_file("a", path)}, {}, false));
  SECTION("a hard link") { std::filesystem::create_hard_link(path, other); }
  SECTION("a symbolic link") { std::filesystem::create_symlink("a.log", other); }
  SECTION("dots") { other = dir.path() + "/../" + dir.path().substr(5) + "/a.log"; }
  SECTION("a link to what is only made now") {
    REQUIRE(::unlink(path.c_str()) == 0);
    std::filesystem::create_symlink("a.log", other);
  }
  Failure failure = logs.use({app_with_file("a", path), app_with_file("b", other)}, {}, false);
  REQUIRE(failure);
  CHECK(failure->code == ExitCode::configuration);
  CHECK(failure->text.find("one and the same file") != std::string::npos);
  CHECK(logs.of("b")->beside_the_log());
  failure = logs.use({app_with_file("b", other)}, {config::AccessLog::To::file, path}, false);
  REQUIRE(failure);
  CHECK(failure->text.find("the access log " + path) != std::string::npos);
  CHECK_FALSE(logs.use({app_with_file("a", "/dev/null"), app_with_file("b", "/dev/null")}, {}, false));
}
