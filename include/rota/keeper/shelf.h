// What the keeper keeps for others: fds under names, listening sockets among them. A table of fixed size.
// Makes listeners, removes the files of Unix ones. Knows nothing of who asks.
#pragma once

#include <sys/types.h>

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "rota/base/unique_fd.h"
#include "rota/ipc/keeper_protocol.h"

namespace rota::keeper {

inline constexpr std::size_t kShelfMax = 256;

struct ShelfEntry {
  std::string name;  // empty: a free place
  std::array<UniqueFd, ipc::kFdsMax> fds;
  std::size_t fd_count = 0;
  bool for_proxy = false;
  bool listener = false;
  std::uint16_t port = 0;
  // the file of a Unix listener: removed only while it is still the one we made
  std::string path;
  dev_t device = 0;
  ino_t inode = 0;

  bool used() const { return !name.empty(); }
  // The fds as send() wants them; `room` lends the memory.
  std::span<const int> descriptors(std::array<int, ipc::kFdsMax>& room) const;
};

class Shelf {
 public:
  Shelf();
  Shelf(const Shelf&) = delete;
  Shelf& operator=(const Shelf&) = delete;
  ~Shelf();

  struct BindResult {
    const ShelfEntry* entry = nullptr;  // null: failed, see the rest
    bool made = false;                  // false: it was there already
    int error = 0;
    const char* step = "";
  };
  // A listener that is already there under this name stays as it is.
  BindResult bind(const ipc::Bind& wanted);

  // Replaces what is there under the name. Null: the shelf is full, or the name is no good.
  const ShelfEntry* put(std::string_view name, bool for_proxy, std::span<UniqueFd> fds);

  // False: there was nothing. was_for_proxy: the proxy has copies and must be told.
  bool remove(std::string_view name, bool& was_for_proxy);

  const ShelfEntry* find(std::string_view name) const;
  std::span<const ShelfEntry> places() const { return entries_; }

 private:
  ShelfEntry* place_for(std::string_view name);
  static void clear(ShelfEntry& entry);

  std::vector<ShelfEntry> entries_;  // kShelfMax places, made once
};

}  // namespace rota::keeper
