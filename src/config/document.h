// A YAML file as a tree of values with their places. The only part of rota that knows yaml-cpp, and that in its .cpp
// alone.
//
// Built from the parser's events rather than from YAML::Node: events carry the place of keys, tell quoted from plain
// scalars, show duplicate keys, and let depth and number of nodes be refused while the file is read. An alias is a
// pointer to the node it names, so a file cannot be made to expand; what it would expand to is counted and bounded
// nevertheless.
#pragma once

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include "problems.h"
#include "text.h"

namespace rota::config {

inline constexpr std::uint64_t kNodesMax = 50'000;  // keys and values of a file, aliases counted as what they stand for
inline constexpr std::uint64_t kTextMax = 8 * 1024 * 1024;  // bytes of all values, with their variables; likewise

struct Node {
  enum class Kind { null, scalar, sequence, mapping };
  struct Entry {
    const Node* key;
    const Node* value;
  };
  Kind kind = Kind::null;
  Span span;
  std::string text;                // scalar; after interpolate() with the variables' values
  std::string written;             // ... and as the file has it, where that differs
  bool interpolated = false;       // `written` counts
  bool secret = false;             // a variable in it is not to be shown
  bool broken = false;             // a problem about it has been added; nothing more is to be said
  std::vector<const Node*> items;  // sequence
  std::vector<Entry> entries;      // mapping
  std::uint64_t size = 1;          // nodes in it, aliases expanded

  const std::string& source() const { return interpolated ? written : text; }
};

class Document {
 public:
  // Nothing is returned in root() after a syntax error, which is then the only problem. Never throws.
  Document(std::string_view text, const Text& lines, Problems& problems);
  Document(const Document&) = delete;
  Document& operator=(const Document&) = delete;

  const Node* root() const { return root_; }  // null: a problem was added, or the file is empty
  // ${NAME} in every value, not in keys. What is then more than kTextMax is refused: root() is null and a problem
  // added.
  void interpolate(Problems& problems);
  // The place of `length` bytes from `offset` on in source() of a scalar, as exactly as its way of quoting allows.
  Span inside(const Node& scalar, std::size_t offset, std::size_t length) const;

 private:
  class Builder;
  std::deque<Node> nodes_;  // addresses stay
  const Node* root_ = nullptr;
};

const char* kind_name(Node::Kind kind);  // "a list"

}  // namespace rota::config
