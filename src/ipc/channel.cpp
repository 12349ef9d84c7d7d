#include "rota/ipc/channel.h"

#include "rota/sys/memfd.h"
#include "rota/sys/socket.h"

namespace rota::ipc {

namespace {

// Room for hundreds of messages; a reader that falls behind so far is as good as dead.
constexpr int kBufferBytes = 1024 * 1024;

}  // namespace

Result<std::pair<UniqueFd, UniqueFd>> Channel::make_pair() { return sys::packet_pair(kBufferBytes); }

Channel::Channel(UniqueFd fd) : fd_(std::move(fd)) { out_.reserve(kMessageMax); }

Result<void> Channel::send_bytes(std::string_view bytes, std::span<const int> fds) {
  if (!fd_) return Error{Errc::closed, 0, "the channel is closed"};
  ROTA_CHECK(fds.size() <= kFdsMax);
  if (bytes.size() > kMessageMax) return Error{Errc::limit, 0, "a message is longer than 4 KiB"};
  return sys::send_packet(fd_.get(), bytes, fds);
}

Result<std::optional<Packet>> Channel::receive() {
  if (!fd_) return Error{Errc::closed, 0, "the channel is closed"};
  Packet packet;
  Result<sys::ReceivedPacket> got = sys::receive_packet(fd_.get(), in_, packet.fds);
  if (!got) {
    if (got.error().code == Errc::would_block) return std::optional<Packet>();
    return got.error();
  }
  if (got->truncated) {
    close();
    return Error{Errc::protocol, 0, "a message or its descriptors were cut"};
  }
  packet.bytes = std::string_view(in_.data(), got->size);
  packet.fd_count = got->fd_count;
  return std::optional<Packet>(std::move(packet));
}

Result<UniqueFd> make_bulk(std::string_view name, std::string_view bytes) {
  if (bytes.size() > kBulkMax) return Error{Errc::limit, 0, "more than 16 MiB for one message"};
  return sys::make_sealed_memfd("rota-" + std::string(name), bytes);
}

Result<std::string> read_bulk(int fd) { return sys::read_sealed_memfd(fd, kBulkMax); }

}  // namespace rota::ipc
