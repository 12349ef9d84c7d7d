// What a fuzzer's input says: a line of orders, then what clients may send, then what workers may send.
//
//   ORDERS\n CLIENT BYTES \n---\n WORKER BYTES
//
// An order is a letter and perhaps a number; a `+` behind it: the next comes before the loop turns. `~` ends a piece of
// either side's bytes and is not sent; `@` is sent as a letter that depends on how many went before, so that no two
// places look alike. Whatever bytes come, they are a script.
//
//   c, w    the client, the worker sends its next piece; c5, w5: the next 5 bytes
//   C, W    sends the last piece once more; C500: so many times
//   p P q Q the client stops reading, reads again; likewise every worker
//   a A     workers stop accepting, accept again
//   h H     the client, the worker closes its sending side
//   x X     closes; what it has not read makes that a reset
//   z Z     closes with a reset, where its kind of socket can
//   o i n   another client connects; the next client, the next worker connection is meant from here on
//   d D l   the worker dies; closes its listener; listens again
//   s5      a new state, of which the number says what it is like: see World::wanted()
//   t500    so many milliseconds pass
//   g k     the proxy drains; every client connection is cut
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace rota::fuzz {

struct Order {
  char what = 0;
  std::uint32_t count = 0;
  bool counted = false;  // a number was given
  bool settles = true;   // the loop turns until it is quiet before the next order
};

// One side's bytes, taken piece by piece.
class Text {
 public:
  explicit Text(std::string_view all) : left_(all) {}

  // Up to and without the next '~'.
  std::string piece() {
    const std::size_t end = std::min(left_.find('~'), left_.size());
    last_ = left_.substr(0, end);
    left_.remove_prefix(std::min(end + 1, left_.size()));
    return again();
  }
  std::string octets(std::size_t count) {
    last_ = left_.substr(0, count);
    left_.remove_prefix(last_.size());
    return again();
  }
  std::string again() {
    std::string out;
    for (const char octet : last_) {
      if (octet != '~') out.push_back(octet == '@' ? tag() : octet);
    }
    return out;
  }
  bool empty() const { return left_.empty(); }

 private:
  // Never a hexadecimal digit, so that it cannot change a number's value.
  char tag() {
    const std::uint32_t mixed = ++tags_ * 2654435761U;
    return static_cast<char>('g' + mixed % 20);
  }

  std::string_view left_;
  std::string_view last_;
  std::uint32_t tags_ = 0;
};

struct Script {
  static constexpr std::size_t kOrdersMax = 150;
  static constexpr std::uint32_t kCountMax = 4'000'000;

  explicit Script(std::string_view input)
      : line(input.substr(0, input.find('\n'))),
        rest(input.substr(std::min(line.size() + 1, input.size()))),
        split(std::min(rest.find(kBorder), rest.size())),
        client(rest.substr(0, split)),
        worker(rest.substr(std::min(split + kBorder.size(), rest.size()))) {
    for (const char octet : line) {
      if (octet >= '0' && octet <= '9') {
        if (orders.empty()) continue;
        Order& last = orders.back();
        last.counted = true;
        last.count = std::min(last.count * 10 + static_cast<std::uint32_t>(octet - '0'), kCountMax);
      } else if (octet == '+') {
        if (!orders.empty()) orders.back().settles = false;
      } else if (octet != ' ' && orders.size() < kOrdersMax) {
        orders.push_back({.what = octet});
      }
    }
  }

  static constexpr std::string_view kBorder = "\n---\n";
  std::string_view line;
  std::string_view rest;
  std::size_t split;
  Text client;
  Text worker;
  std::vector<Order> orders;
};

}  // namespace rota::fuzz
