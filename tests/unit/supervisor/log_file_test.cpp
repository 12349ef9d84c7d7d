#include "rota/supervisor/log_file.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <catch2/catch_test_macros.hpp>
#include <filesystem>
#include <fstream>

#include "fake_keeper.h"

using namespace rota;
using namespace rota::supervisor;
using test::ScratchDir;

namespace {

std::string text_of(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}
void write_file(const std::string& path, const std::string& text) { std::ofstream(path) << text; }
bool exists(const std::string& path) { return std::filesystem::exists(path); }
std::string numbered(int from, int to) {
  std::string lines;
  for (int i = from; i < to; i++) lines += "line " + std::to_string(i) + "\n";
  return lines;
}

// A file system of 64 KiB.
class TinyDisk {
 public:
  TinyDisk() { mounted_ = ::mount("tmpfs", path().c_str(), "tmpfs", 0, "size=64k") == 0; }
  ~TinyDisk() {
    if (mounted_) ::umount2(path().c_str(), MNT_DETACH);
  }
  TinyDisk(const TinyDisk&) = delete;
  TinyDisk& operator=(const TinyDisk&) = delete;
  bool mounted() const { return mounted_; }
  const std::string& path() const { return dir_.path(); }

 private:
  ScratchDir dir_;
  bool mounted_ = false;
};

}  // namespace

TEST_CASE("a log goes on where it was, and only its group may read it besides") {
  ScratchDir dir;
  std::string path = dir.path() + "/a.log";
  mode_t mask = ::umask(0);
  for (const char* line : {"one\n", "two\n"}) {
    LogFile file(path, {});
    REQUIRE(file.open());
    REQUIRE(file.append(line).lost_lines == 0);
  }
  ::umask(mask);
  REQUIRE(text_of(path) == "one\ntwo\n");
  struct stat about {};
  REQUIRE(::stat(path.c_str(), &about) == 0);
  REQUIRE((about.st_mode & 07777U) == 0640U);
}

TEST_CASE("a file that has grown is renamed, the oldest goes, and no line is lost, doubled or cut") {
  ScratchDir dir;
  std::string path = dir.path() + "/a.log";
  LogFile file(path, {Bytes{100}, 2});
  SECTION("line by line") {
    for (int i = 0; i < 100; i++) REQUIRE(file.append(numbered(i, i + 1)).lost_lines == 0);
  }
  SECTION("all at once") { REQUIRE(file.append(numbered(0, 100)).lost_lines == 0); }
  SECTION("by lives that end in between") {
    for (int i = 0; i < 100; i++) {
      LogFile life(path, {Bytes{100}, 2});
      REQUIRE(life.append(numbered(i, i + 1)).lost_lines == 0);
    }
  }
  std::string all = text_of(path + ".2") + text_of(path + ".1") + text_of(path);
  REQUIRE(numbered(0, 100).ends_with(all));
  REQUIRE(all.size() > 200);
  for (const char* suffix : {"", ".1", ".2"}) REQUIRE(text_of(path + suffix).size() <= 100);
  REQUIRE_FALSE(exists(path + ".3"));
  REQUIRE_FALSE(exists(path + ".new"));
}

TEST_CASE("with nothing to keep a file that has grown is emptied") {
  ScratchDir dir;
  std::string path = dir.path() + "/a.log";
  LogFile file(path, {Bytes{100}, 0});
  REQUIRE(file.append(numbered(0, 100)).lost_lines == 0);
  REQUIRE(numbered(0, 100).ends_with(text_of(path)));
  REQUIRE(text_of(path).size() <= 100);
  REQUIRE_FALSE(exists(path + ".1"));
}

TEST_CASE("a single line longer than the limit is written whole") {
  ScratchDir dir;
  std::string path = dir.path() + "/a.log";
  std::string line(500, 'x');
  LogFile file(path, {Bytes{100}, 1});
  REQUIRE(file.append("short\n" + line).lost_lines == 0);  // its end comes with the next piece
  REQUIRE(file.append("end\nnext\n").lost_lines == 0);
  REQUIRE(text_of(path + ".1") == line + "end\n");
  REQUIRE(text_of(path) == "next\n");
}

TEST_CASE("a line without an end does not fill the disk") {
  ScratchDir dir;
  std::string path = dir.path() + "/a.log";
  LogFile file(path, {Bytes{100}, 1});
  const std::string piece(256 * 1024, 'x');
  for (int i = 0; i < 20; i++) REQUIRE(file.append(piece).lost_lines == 0);
  REQUIRE(text_of(path).size() <= 2 * 1024 * 1024);
  REQUIRE(text_of(path + ".1").size() <= 2 * 1024 * 1024);
}

TEST_CASE("the new file has the mode of the old one") {
  ScratchDir dir;
  std::string path = dir.path() + "/a.log";
  write_file(path, "old\n");
  REQUIRE(::chmod(path.c_str(), 0604) == 0);
  LogFile file(path, {Bytes{8}, 1});
  REQUIRE(file.append("12345678\n").lost_lines == 0);
  REQUIRE(text_of(path + ".1") == "old\n");
  struct stat about {};
  REQUIRE(::stat(path.c_str(), &about) == 0);
  REQUIRE((about.st_mode & 07777U) == 0604U);
  REQUIRE(::chmod(path.c_str(), 04755) == 0);  // by its owner, who is not always ours
  REQUIRE(file.append("12345678\n").lost_lines == 0);
  REQUIRE(::stat(path.c_str(), &about) == 0);
  REQUIRE((about.st_mode & 07777U) == 0755U);
}

TEST_CASE("who renames the file from outside is followed when told, and not renamed after") {
  ScratchDir dir;
  std::string path = dir.path() + "/a.log";
  LogFile file(path, {Bytes{20}, 3});
  REQUIRE(file.append("first\n").lost_lines == 0);
  std::filesystem::rename(path, path + ".1");
  REQUIRE(file.append("second\n").lost_lines == 0);
  REQUIRE(text_of(path + ".1") == "first\nsecond\n");
  SECTION("by a signal") { REQUIRE(file.open()); }
  SECTION("by its own limit") { write_file(path, ""); }
  REQUIRE(file.append("third is long\n").lost_lines == 0);
  REQUIRE(text_of(path) == "third is long\n");
  REQUIRE(text_of(path + ".1") == "first\nsecond\n");
  REQUIRE_FALSE(exists(path + ".2"));
}

TEST_CASE("one's own link is followed, and what it names is renamed; another user's link is refused") {
  ScratchDir dir;
  std::filesystem::create_directory(dir.path() + "/real");
  std::string path = dir.path() + "/a.log";
  std::filesystem::create_symlink("real/b.log", path);
  LogFile file(path, {Bytes{8}, 1});
  REQUIRE(file.append("first\n").lost_lines == 0);
  REQUIRE(file.append("second\n").lost_lines == 0);
  REQUIRE(std::filesystem::is_symlink(path));
  REQUIRE(text_of(dir.path() + "/real/b.log") == "second\n");
  REQUIRE(text_of(dir.path() + "/real/b.log.1") == "first\n");
  if (::geteuid() != 0) return;
  REQUIRE(::lchown(path.c_str(), 65534, 65534) == 0);
  auto refused = file.open();
  REQUIRE_FALSE(refused);
  REQUIRE(refused.error().code == Errc::denied);
}

TEST_CASE("a full disk loses whole lines, counts them, and takes lines again when there is room") {
  TinyDisk disk;
  if (!disk.mounted()) SKIP("needs root");
  std::string path = disk.path() + "/a.log";
  LogFile file(path, {});
  std::string line = std::string(999, 'x') + "\n";
  std::string much;
  for (int i = 0; i < 100; i++) much += line;
  LogFile::Appended result = file.append(much);
  REQUIRE(result.why.sys == ENOSPC);
  REQUIRE(result.lost_lines == 100 - text_of(path).size() / line.size());
  REQUIRE(text_of(path).size() % line.size() == 0);
  REQUIRE(file.append(much).lost_lines == 100);
  REQUIRE(::truncate(path.c_str(), 0) == 0);
  REQUIRE(file.append("again\n").lost_lines == 0);
  REQUIRE(text_of(path) == "again\n");
}

TEST_CASE("on a full disk a file that should be renamed stays as it is") {
  TinyDisk disk;
  if (!disk.mounted()) SKIP("needs root");
  std::string path = disk.path() + "/a.log";
  LogFile file(path, {Bytes{10'000}, 3});
  write_file(disk.path() + "/other", std::string(60'000, 'y'));
  std::string much;
  for (int i = 0; i < 100; i++) much += std::string(999, 'x') + "\n";
  REQUIRE(file.append(much).lost_lines > 0);
  for (const auto& entry : std::filesystem::directory_iterator(disk.path())) {
    if (entry.path().filename() != "other") REQUIRE(text_of(entry.path()).size() % 1000 == 0);
  }
}

TEST_CASE("a line torn by an error that cannot be taken back is ended before the next") {
  ScratchDir dir;
  std::string path = dir.path() + "/pipe";
  REQUIRE(::mkfifo(path.c_str(), 0600) == 0);
  UniqueFd reader(::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  LogFile file(path, {Bytes{10}, 3});
  REQUIRE(file.append(std::string(200'000, 'x') + "\n").lost_lines == 1);
  char buffer[100'000];
  while (::read(reader.get(), buffer, sizeof buffer) > 0) {
  }
  REQUIRE(file.append("next\n").lost_lines == 0);
  REQUIRE(std::string(buffer, static_cast<std::size_t>(::read(reader.get(), buffer, sizeof buffer))) == "\nnext\n");
  REQUIRE_FALSE(exists(path + ".1"));
}
