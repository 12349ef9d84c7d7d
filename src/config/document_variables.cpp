// The variables in a document's values.
#include <fmt/format.h>

#include <unordered_map>
#include <unordered_set>

#include "document.h"
#include "rota/config/interpolation.h"
#include "rota/config/units.h"

namespace rota::config {

namespace {

// An alias stands for a copy in the end: each use of a value counts. At most kNodesMax values of a few MiB each.
std::uint64_t text_bytes(const Node& node, std::unordered_map<const Node*, std::uint64_t>& known) {
  if (node.kind == Node::Kind::scalar) return node.text.size();
  if (auto found = known.find(&node); found != known.end()) return found->second;
  std::uint64_t bytes = 0;
  for (const Node* item : node.items) bytes += text_bytes(*item, known);
  for (const Node::Entry& entry : node.entries) bytes += text_bytes(*entry.value, known);
  known[&node] = bytes;
  return bytes;
}

}  // namespace

void Document::interpolate(Problems& problems) {
  if (root_ == nullptr) return;  // nothing more is said of what is not YAML
  std::unordered_set<const Node*> keys;
  for (const Node& node : nodes_) {
    for (const Node::Entry& entry : node.entries) keys.insert(entry.key);
  }
  std::size_t total = 0;
  for (Node& node : nodes_) {
    if (node.kind != Node::Kind::scalar || node.text.find("${") == std::string::npos || keys.contains(&node)) continue;
    Interpolated done = config::interpolate(node.text);
    if (done.problem) {
      problems.add(inside(node, done.problem->offset, done.problem->length), std::move(done.problem->message));
      node.broken = true;
      continue;
    }
    total += done.text.size();
    if (total > kInterpolatedMax) {
      problems.add(node.span, fmt::format("with their variables the values up to here are larger than {}",
                                          format_size(Bytes{kInterpolatedMax})));
      node.broken = true;
      return;
    }
    node.written = std::move(node.text);
    node.text = std::move(done.text);
    node.interpolated = true;
    node.secret = done.secret;
  }
  std::unordered_map<const Node*, std::uint64_t> known;
  if (text_bytes(*root_, known) <= kTextMax) return;
  problems.add(
      {}, fmt::format("more than {} of text, aliases counted as what they stand for", format_size(Bytes{kTextMax})));
  root_ = nullptr;
}

}  // namespace rota::config
