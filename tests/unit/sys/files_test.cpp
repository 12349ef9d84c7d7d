#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <catch2/catch_test_macros.hpp>

#include "rota/sys/directory.h"
#include "rota/sys/lock.h"
#include "rota/sys/socket.h"
#include "rota/sys/user.h"
#include "unit/sys/temporary.h"

using namespace rota;
using namespace rota::sys;

namespace {

struct stat look(const std::string& path) {
  struct stat about {};
  REQUIRE(::lstat(path.c_str(), &about) == 0);
  return about;
}

}  // namespace

TEST_CASE("a directory is made with its owner and mode, and corrected when it is there") {
  test::TemporaryDirectory base;
  UniqueFd parent(::open(base.path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  DirectoryRules rules;
  rules.mode = 02750;
  bool root = ::geteuid() == 0;
  if (root) {
    rules.uid = 65534;
    rules.gid = 1234;
  }
  mode_t before = ::umask(0777);
  auto made = make_directory(parent.get(), "app", rules);
  ::umask(before);
  REQUIRE(made);
  struct stat about = look(base.path("app"));
  CHECK((about.st_mode & 07777U) == 02750);
  if (root) {
    CHECK(about.st_uid == 65534);
    CHECK(about.st_gid == 1234);
  }
  rules.mode = 0711;
  REQUIRE(make_directory(AT_FDCWD, base.path("app"), rules));
  CHECK((look(base.path("app")).st_mode & 07777U) == 0711);
  CHECK(make_directory(AT_FDCWD, base.path("no/such/parent"), rules).error().sys == ENOENT);
}

TEST_CASE("links, files and other people's directories are refused") {
  test::TemporaryDirectory base;
  REQUIRE(::mkdir(base.path("real").c_str(), 0755) == 0);
  REQUIRE(::symlink("real", base.path("link").c_str()) == 0);
  UniqueFd file(::open(base.path("file").c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
  CHECK(make_directory(AT_FDCWD, base.path("link"), {}).error().code == Errc::in_use);
  CHECK(make_directory(AT_FDCWD, base.path("file"), {}).error().code == Errc::in_use);
  CHECK(open_directory(AT_FDCWD, base.path("link")).error().code == Errc::in_use);
  CHECK(open_directory(AT_FDCWD, base.path("none")).error().code == Errc::not_found);
  CHECK((look(base.path("real")).st_mode & 07777U) == 0755);
  if (::geteuid() != 0) return;
  REQUIRE(::chown(base.path("real").c_str(), 4711, 4711) == 0);
  CHECK(make_directory(AT_FDCWD, base.path("real"), {}).error().code == Errc::denied);
}

TEST_CASE("only sockets are removed") {
  test::TemporaryDirectory base;
  Listen one = listen_unix(base.path("1.sock"), 0600);
  Listen two = listen_unix(base.path("2.sock"), 0600);
  UniqueFd file(::open(base.path("file.sock").c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
  auto directory = open_directory(AT_FDCWD, base.path());
  REQUIRE(directory);
  CHECK(remove_sockets(directory->get()) == 2);
  CHECK(remove_sockets(directory->get()) == 0);
  CHECK(::access(base.path("file.sock").c_str(), F_OK) == 0);
}

TEST_CASE("a lock has one holder until its last descriptor is closed") {
  test::TemporaryDirectory base;
  auto directory = open_directory(AT_FDCWD, base.path());
  auto held = take_lock(directory->get(), "lock");
  REQUIRE(held);
  CHECK(take_lock(directory->get(), "lock").error().code == Errc::in_use);
  UniqueFd copy = held->duplicate();
  held->reset();
  CHECK(take_lock(directory->get(), "lock").error().code == Errc::in_use);
  copy.reset();
  CHECK(take_lock(directory->get(), "lock"));
  REQUIRE(::symlink("lock", base.path("link").c_str()) == 0);
  CHECK_FALSE(take_lock(directory->get(), "link"));
}

TEST_CASE("users and groups are found by name and by number") {
  auto root = find_user("root");
  REQUIRE(root);
  CHECK(root->uid == 0);
  CHECK(root->gid == 0);
  CHECK(root->home == "/root");
  CHECK(std::count(root->groups.begin(), root->groups.end(), 0U) == 1);
  CHECK(find_user("0")->name == "root");
  CHECK(find_user_by_id(0)->name == "root");
  CHECK(find_user("no-such-user-here").error().code == Errc::not_found);
  CHECK(find_user("").error().code == Errc::not_found);
  CHECK(find_user_by_id(3999999999).error().code == Errc::not_found);
  auto bare = find_user("3999999999");
  REQUIRE(bare);
  CHECK(bare->uid == 3999999999);
  CHECK(bare->gid == 3999999999);
  CHECK(bare->name.empty());
  CHECK(*find_group("root") == 0);
  CHECK(*find_group("1234567") == 1234567);
  CHECK(find_group("no-such-group").error().code == Errc::not_found);
}

TEST_CASE("a way that another user could turn elsewhere is told from one that is root's all along") {
  if (::geteuid() != 0) SKIP("only root has other users' directories to fear");
  test::TemporaryDirectory base;
  std::string inner = base.path() + "/inner";
  REQUIRE(::mkdir(inner.c_str(), 0755) == 0);
  CHECK(in_other_hands(inner + "/x.log").empty());
  CHECK(in_other_hands("/tmp/x.log").empty());  // sticky
  SECTION("a parent of another user") {
    REQUIRE(::chown(base.path().c_str(), 65534, 65534) == 0);
    CHECK(in_other_hands(inner + "/x.log") == base.path());
  }
  SECTION("the last directory everybody's") {
    REQUIRE(::chmod(inner.c_str(), 0777) == 0);
    CHECK(in_other_hands(inner + "/x.log") == inner);
  }
}
