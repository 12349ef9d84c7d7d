// One end of a SOCK_SEQPACKET pair: whole messages with fds, non-blocking, in order or not at all.
// Knows framing and nothing of what messages mean. Single-threaded.
#pragma once

#include <array>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "rota/base/result.h"
#include "rota/base/unique_fd.h"
#include "rota/ipc/codec.h"
#include "rota/ipc/keeper_protocol.h"

namespace rota::ipc {

// A received message. `bytes` points into the channel's buffer and dies with the next receive(); the fds are the
// receiver's.
struct Packet {
  std::string_view bytes;
  std::array<UniqueFd, kFdsMax> fds;
  std::size_t fd_count = 0;
  std::uint16_t type() const { return message_type(bytes); }
};

class Channel {
 public:
  // Both ends close-on-exec and non-blocking, with buffers large enough that a reader that lives never sees
  // would_block.
  static Result<std::pair<UniqueFd, UniqueFd>> make_pair();

  Channel() = default;
  explicit Channel(UniqueFd fd);
  int fd() const { return fd_.get(); }
  explicit operator bool() const { return static_cast<bool>(fd_); }
  void close() { fd_.reset(); }

  // would_block: the peer's buffer is full; closed: the peer is gone; anything else is an error of the system.
  // The fds stay the caller's (the kernel duplicates them).
  template <class M>
  Result<void> send(const M& message, std::span<const int> fds = {}) {
    encode_message(out_, message);
    return send_bytes(out_, fds);
  }
  Result<void> send_bytes(std::string_view bytes, std::span<const int> fds);

  // Empty: nothing to read now. closed: the peer is gone. protocol: truncated, which ends the channel.
  Result<std::optional<Packet>> receive();

 private:
  UniqueFd fd_;
  std::string out_;  // reserved once; encoding allocates nothing afterwards
  std::array<char, kMessageMax> in_{};
};

// A sealed memfd with these bytes: written once, shared without copies, never changed under its reader's feet.
Result<UniqueFd> make_bulk(std::string_view name, std::string_view bytes);
// Refuses what is not fully sealed or larger than kBulkMax.
Result<std::string> read_bulk(int fd);

}  // namespace rota::ipc
