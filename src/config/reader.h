// Walks a document by the table: finds each key's row, calls its setter, names what is unknown, double or of the wrong
// kind.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "document.h"
#include "problems.h"
#include "table.h"

namespace rota::config {

// Lives for one load. `problems`, `document` and `config` outlive it.
class Reader {
 public:
  Reader(const Document& document, Problems& problems, std::string base_directory)
      : document_(document), problems_(problems), base_directory_(std::move(base_directory)) {}

  void read(const Mapping& mapping, const Node& node, void* object);
  // Each entry of a mapping whose keys are free (apps, env) or the table's, without duplicates. `use` gets the key's
  // text.
  void each_entry(const Node& mapping, const std::function<void(const Node& key, const Node& value)>& use);
  // Within `use`: what is read now stands under `name`.
  class Below {
   public:
    Below(Reader& reader, std::string_view name);
    ~Below() { reader_.path_.resize(length_); }
    Below(const Below&) = delete;
    Below& operator=(const Below&) = delete;

   private:
    Reader& reader_;
    std::size_t length_;
  };

  // Problems about a key's value: `"name" sentence`. What a variable has brought is added where the sentence does not
  // quote it, and left out with the sentence where it is secret.
  void bad(const Key& key, const Node& at, std::string_view sentence);
  // At a part of source().
  void bad_inside(const Key& key, const Node& scalar, std::size_t offset, std::size_t length,
                  std::string_view sentence);
  // in_quotes(), unless a secret is in the value that the file gave for `path`.
  std::string shown(const std::string& path, std::string_view text) const;
  // Has a problem been added unless the node is a scalar that a C string can hold?
  bool is_scalar(const Key& key, const Node& value, std::string_view wanted);
  bool is_mapping(const Key& key, const Node& value, std::string_view wanted);

  Problems& problems() { return problems_; }
  const std::string& base_directory() const { return base_directory_; }
  // Absolute, from the file's directory.
  std::string absolute(std::string_view path) const;
  // Lets given() find `value` where reading is now; read() does it for every key.
  void remember(const Node& value) { given_[path_] = &value; }
  const std::string& path() const { return path_; }
  // The value that the file gave for "apps.web.command", or null.
  const Node* given(const std::string& path) const;
  Span given_span(const std::string& path) const;

 private:
  void unknown(const Mapping& mapping, const Node& key, const Node& value);

  const Document& document_;
  Problems& problems_;
  std::string base_directory_;
  std::string path_;
  std::unordered_map<std::string, const Node*> given_;
};

}  // namespace rota::config
