// yaml-cpp's events become Nodes. Its exceptions, and ours thrown through it to stop it early, end in Document's
// constructor.
//
// yaml-cpp 0.7 and 0.8 descend one C++ frame per level and announce each level by an event before they go deeper, so
// the depth limit here is reached long before their stack is in danger.
#include "document.h"

#include <fmt/format.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/mark.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <array>
#include <sstream>
#include <unordered_map>

#include "rota/base/check.h"
#include "rota/config/units.h"
#include "syntax.h"

namespace rota::config {

namespace {

// Thrown through yaml-cpp to stop it; a syntax problem in all but origin.
struct Refusal {
  Span span;
  std::string message;
};

constexpr std::size_t kKeyMax = 256;

}  // namespace

const char* kind_name(Node::Kind kind) {
  switch (kind) {
    case Node::Kind::null: return "nothing";
    case Node::Kind::scalar: return "a single value";
    case Node::Kind::sequence: return "a list";
    case Node::Kind::mapping: return "a mapping";
  }
  return "";
}

class Document::Builder final : public YAML::EventHandler {
 public:
  Builder(Document& document, const Text& lines) : document_(document), lines_(lines) {}

  void OnDocumentStart(const YAML::Mark& mark) override {
    if (documents_++ == 0) return;
    Span span = span_of(mark);
    bool is_marked = lines_.line(span.line).substr(0, 3) == "---";
    throw Refusal{span, is_marked ? "a second document begins here; a file holds one"
                                  : "this does not belong to what stands above: check the indentation"};
  }
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override { add_leaf(mark, anchor, Node::Kind::null, {}); }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    refuse_tag(mark, tag);
    if (tag == "!") refuse_open_quote(mark);
    add_leaf(mark, anchor, Node::Kind::scalar, value);
  }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    auto found = anchors_.find(anchor);
    if (found == anchors_.end()) throw Refusal{span_of(mark), "this alias stands inside the very value that it names"};
    attach(found->second, span_of(mark));
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value style) override {
    open(mark, tag, anchor, Node::Kind::sequence, style);
  }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value style) override {
    open(mark, tag, anchor, Node::Kind::mapping, style);
  }
  void OnSequenceEnd() override { close(); }
  void OnMapEnd() override { close(); }

  // An error that yaml-cpp found.
  Refusal explain(const YAML::Exception& exception) const {
    Span open = open_.empty() ? last_ : open_.back().node->span;
    SyntaxFault fault = explain_syntax(lines_, {span_of(exception.mark), exception.msg, open, last_});
    return {fault.span, std::move(fault.message)};
  }

 private:
  struct Open {
    Node* node;
    YAML::anchor_t anchor;
    const Node* key = nullptr;  // mapping: waits for its value
    Span key_span;              // where it stands, even if it is an alias
  };

  static Span span_of(const YAML::Mark& mark) {
    if (mark.is_null() || mark.line < 0 || mark.column < 0) return {};
    return {mark.line + 1, static_cast<std::size_t>(mark.column), 1};
  }

  // "?" plain, "!" quoted, "" neither: all else was written.
  static void refuse_tag(const YAML::Mark& mark, const std::string& tag) {
    if (!tag.empty() && tag != "?" && tag != "!") throw Refusal{span_of(mark), "tags are not supported"};
  }

  // yaml-cpp takes the end of the file for a closing quote when a line feed stands before it. A file cut short must
  // not pass for a whole one, so the quote is looked for here.
  void refuse_open_quote(const YAML::Mark& mark) const {
    std::size_t at = lines_.offset_of(span_of(mark));
    std::string_view text = lines_.all();
    while (at < text.size() && text[at] == '&') {  // an anchor stands before the value it names
      at = text.find_first_of(" \t\r\n", at);
      at = at == std::string_view::npos ? at : text.find_first_not_of(" \t\r\n", at);
    }
    if (at >= text.size() || (text[at] != '"' && text[at] != '\'')) return;  // a block scalar
    for (std::size_t i = at + 1; i < text.size(); ++i) {
      if (text[at] == '"' && text[i] == '\\') {
        ++i;
      } else if (text[i] == text[at] && text[at] == '\'' && i + 1 < text.size() && text[i + 1] == '\'') {
        ++i;
      } else if (text[i] == text[at]) {
        return;
      }
    }
    throw Refusal{lines_.at_offset(at), "this quote is not closed"};
  }

  Node* make(const YAML::Mark& mark, Node::Kind kind) {
    Node& node = document_.nodes_.emplace_back();
    node.kind = kind;
    node.span = span_of(mark);
    last_ = node.span;
    return &node;
  }

  // A scalar's span is all of it where it stands on one line as it is or in quotes; else its first byte.
  void measure(Node& node) const {
    std::string_view rest = lines_.line(node.span.line);
    if (node.span.byte >= rest.size() || node.text.empty()) return;
    rest.remove_prefix(node.span.byte);
    if (rest.substr(0, node.text.size()) == node.text) {
      node.span.length = node.text.size();
    } else if ((rest[0] == '"' || rest[0] == '\'') && rest.substr(1, node.text.size()) == node.text) {
      node.span.length = node.text.size() + 2;
    }
  }

  void add_leaf(const YAML::Mark& mark, YAML::anchor_t anchor, Node::Kind kind, const std::string& text) {
    Node* node = make(mark, kind);
    node->text = text;
    measure(*node);
    last_ = node->span;
    if (anchor != 0) anchors_[anchor] = is_key() ? &document_.nodes_.emplace_back(*node) : node;
    attach(node, node->span);
  }

  // Is what comes next the key of a mapping? (An alias of a key is a value of its own, which variables may change.)
  bool is_key() const { return !open_.empty() && open_.back().node->kind == Node::Kind::mapping && !open_.back().key; }

  void open(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor, Node::Kind kind,
            YAML::EmitterStyle::value) {
    refuse_tag(mark, tag);
    if (open_.size() == static_cast<std::size_t>(kDepthMax)) {
      throw Refusal{span_of(mark), fmt::format("nested deeper than {} levels", kDepthMax)};
    }
    open_.push_back({make(mark, kind), anchor, nullptr, {}});
  }

  void close() {
    ROTA_CHECK(!open_.empty());
    Open done = open_.back();
    open_.pop_back();
    if (done.anchor != 0) anchors_[done.anchor] = done.node;
    attach(done.node, done.node->span);
  }

  // A finished value goes to where it belongs.
  void attach(const Node* node, Span where) {
    if (open_.empty()) {
      if (node->size > kNodesMax) throw too_many(where);
      document_.root_ = node;
      return;
    }
    Open& top = open_.back();
    top.node->size += node->size;  // each term is at most kNodesMax, so this cannot overflow
    if (top.node->size > kNodesMax) throw too_many(where);
    if (top.node->kind == Node::Kind::sequence) {
      top.node->items.push_back(node);
    } else if (top.key == nullptr) {
      top.key = node;
      top.key_span = where;
    } else {
      top.node->entries.push_back({placed(top.key, top.key_span), valued(node, top.key_span)});
      top.key = nullptr;
    }
  }

  static Refusal too_many(Span where) {
    return {where, fmt::format("more than {} values, aliases counted as what they stand for", kNodesMax)};
  }

  // A key that is an alias stands where the alias stands. Long ones are no keys anyway and not copied: aliases are
  // free.
  const Node* placed(const Node* key, Span where) {
    bool is_alias = key->span.line != where.line || key->span.byte != where.byte;
    if (!is_alias || key->kind != Node::Kind::scalar || key->text.size() > kKeyMax) return key;
    Node& copy = document_.nodes_.emplace_back(*key);
    copy.span = where;
    return &copy;
  }

  // An absent value has no place of its own worth showing: its key's is.
  const Node* valued(const Node* value, Span key_span) {
    if (value->kind != Node::Kind::null) return value;
    Node& copy = document_.nodes_.emplace_back(*value);
    copy.span = key_span;
    return &copy;
  }

  Document& document_;
  const Text& lines_;
  int documents_ = 0;
  Span last_;               // of the event before
  std::vector<Open> open_;  // at most kDepthMax
  std::unordered_map<YAML::anchor_t, const Node*> anchors_;
};

Document::Document(std::string_view text, const Text& lines, Problems& problems) {
  std::istringstream stream{std::string(text)};
  Builder builder(*this, lines);
  Refusal stop;
  try {
    YAML::Parser parser(stream);
    while (parser.HandleNextDocument(builder)) {
    }
    return;
  } catch (const Refusal& ours) {
    stop = ours;
  } catch (const YAML::Exception& exception) {
    stop = builder.explain(exception);
  }
  root_ = nullptr;
  problems.add(stop.span, std::move(stop.message));
}

Span Document::inside(const Node& scalar, std::size_t offset, std::size_t length) const {
  std::size_t size = scalar.source().size();
  if (scalar.span.length == size) return {scalar.span.line, scalar.span.byte + offset, length};
  if (scalar.span.length == size + 2) return {scalar.span.line, scalar.span.byte + 1 + offset, length};
  return scalar.span;
}

}  // namespace rota::config
