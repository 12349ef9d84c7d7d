#include "connection_options.h"

#include "field_names.h"
#include "octets.h"

namespace rota::http {

namespace {

// Which names occur, coarsely: one bit for a length and first letter. Spares most options a walk over the fields.
class NameSet {
 public:
  explicit NameSet(const std::vector<Field>& fields) {
    for (const Field& field : fields) bits_ |= bit(field.name);
  }
  bool may_have(std::string_view name) const { return (bits_ & bit(name)) != 0; }

 private:
  static std::uint64_t bit(std::string_view name) {
    return std::uint64_t{1} << ((name.size() * 7 + static_cast<std::uint8_t>(lower(name[0]))) & 63);
  }
  std::uint64_t bits_ = 0;
};

bool is_rule_bound(KnownField field) {
  return field == KnownField::host || field == KnownField::content_length || field == KnownField::transfer_encoding ||
         field == KnownField::via || is_hop_by_hop(field) || is_forwarding(field);
}

bool has_field(const std::vector<Field>& fields, std::string_view name) {
  for (const Field& field : fields) {
    if (equals_any_case(field.name, name)) return true;
  }
  return false;
}

}  // namespace

bool is_nominated(const std::vector<std::string_view>& nominated, std::string_view name) {
  for (const std::string_view one : nominated) {
    if (equals_any_case(one, name)) return true;
  }
  return false;
}

ConnectionOptions read_connection_options(const std::vector<Field>& fields, std::vector<std::string_view>& nominated) {
  ConnectionOptions options;
  const NameSet names(fields);
  const auto take = [&](std::string_view option) {
    if (option.empty()) return;
    if (equals_lower(option, "keep-alive")) {
      options.keep_alive = true;
    } else if (equals_lower(option, "close")) {
      options.close = true;
    } else if (equals_lower(option, "upgrade")) {
      options.upgrade = true;
    } else {
      options.names_others |= !equals_lower(option, "te");
      if (!names.may_have(option)) return;
      const KnownName known = known_name(option);
      if (known.field == KnownField::content_length) options.names_content_length = true;
      if (is_rule_bound(known.field) || is_nominated(nominated, option) || !has_field(fields, option)) return;
      nominated.push_back(option);
    }
  };
  for (const Field& field : fields) {
    if (field.name.size() == 10 && equals_lower(field.name, "connection")) for_each_element(field.value, take);
  }
  return options;
}

}  // namespace rota::http
