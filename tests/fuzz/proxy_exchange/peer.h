// One end of a connection that the harness holds: what it has sent and got, octet for octet, and when. Nothing waits:
// what the kernel does not take stays pending.
#pragma once

#include <sys/ioctl.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "rota/base/unique_fd.h"

namespace rota::fuzz {

struct Peer {
  explicit Peer(UniqueFd of, bool over_tcp) : fd(std::move(of)), tcp(over_tcp) {}

  UniqueFd fd;  // empty: closed
  bool tcp;

  std::string sent;  // what the kernel has taken
  std::string pending;
  std::vector<std::pair<std::size_t, unsigned>> marks;  // from this octet of `sent` on, in this step
  bool shut_wanted = false;

  std::string got;
  std::string left;     // came behind that, and was not read before we closed
  bool ended = false;   // the other side's FIN
  bool failed = false;  // reset, or broken otherwise

  static constexpr unsigned kNever = ~0U;
  unsigned fin_step = kNever;    // ours went out
  unsigned reset_step = kNever;  // we have closed with something unread, or on purpose

  // Fills the kernel's buffers and the proxy's, and no more.
  static constexpr std::size_t kSentMax = 640 * 1024;

  bool open() const { return static_cast<bool>(fd); }

  // Later than everything before it that was sent, however little of it the kernel took.
  void send(std::string_view bytes, unsigned step) {
    if (!open() || shut_wanted || sent.size() + pending.size() >= kSentMax) return;
    pending.append(bytes.substr(0, kSentMax - sent.size() - pending.size()));
    flush(step);
  }

  bool flush(unsigned step) {
    if (pending.empty()) return false;
    const ssize_t n = ::send(fd.get(), pending.data(), pending.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n < 0) {
      if (errno != EAGAIN) pending.clear();
      return errno != EAGAIN;
    }
    marks.emplace_back(sent.size(), step);
    sent.append(pending, 0, static_cast<std::size_t>(n));
    pending.erase(0, static_cast<std::size_t>(n));
    if (pending.empty() && shut_wanted) shut_down(step);
    return true;
  }

  bool read() {
    char buffer[65536];
    const ssize_t n = ::recv(fd.get(), buffer, sizeof buffer, MSG_DONTWAIT);
    if (n > 0) {
      got.append(buffer, static_cast<std::size_t>(n));
    } else if (n == 0) {
      ended = true;
    } else if (errno != EAGAIN) {
      failed = true;
    }
    return n >= 0 || failed;
  }
  bool may_read() const { return open() && !ended && !failed; }

  void shut_down(unsigned step) {
    if (!open()) return;
    shut_wanted = true;
    if (!pending.empty() || fin_step != kNever) return;
    ::shutdown(fd.get(), SHUT_WR);
    fin_step = step;
  }

  void close(unsigned step, bool reset) {
    if (!open()) return;
    int unread = 0;
    ::ioctl(fd.get(), FIONREAD, &unread);
    if (unread > 0) {
      left.resize(static_cast<std::size_t>(unread));
      const ssize_t n = ::recv(fd.get(), left.data(), left.size(), MSG_PEEK | MSG_DONTWAIT);
      left.resize(n > 0 ? static_cast<std::size_t>(n) : 0);
    }
    if (reset && tcp) {
      const linger now{1, 0};
      ::setsockopt(fd.get(), SOL_SOCKET, SO_LINGER, &now, sizeof now);
    }
    if (unread > 0 || (reset && tcp)) {
      reset_step = step;
    } else if (fin_step == kNever) {
      fin_step = step;
    }
    pending.clear();
    fd.reset();
  }

  // In which step this octet of `sent` went out.
  unsigned step_of(std::size_t octet) const {
    unsigned step = 0;
    for (const auto& [from, at] : marks) {
      if (from > octet) break;
      step = at;
    }
    return step;
  }
};

}  // namespace rota::fuzz
