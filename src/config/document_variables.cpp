// The variables in a document's values.
#include <fmt/format.h>

#include <unordered_set>

#include "document.h"
#include "rota/config/interpolation.h"
#include "rota/config/units.h"

namespace rota::config {

void Document::interpolate(Problems& problems) {
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
}

}  // namespace rota::config
