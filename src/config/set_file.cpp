// The keys of the file's top level that are more than a scalar.
#include <fmt/format.h>

#include <algorithm>

#include "rota/config/address.h"
#include "rota/config/suggest.h"
#include "rota/config/units.h"
#include "setters.h"

namespace rota::config {

namespace {

constexpr std::size_t kAppNameMax = 32;

void add_address(Reader& reader, const Key& key, const Node& value, AddressUse use, std::vector<Address>& into) {
  if (value.kind == Node::Kind::mapping) {
    return reader.bad(key, value, "with options is not available in this version; write \"host:port\" or unix:/path");
  }
  if (!reader.is_scalar(key, value, expected(key))) return;
  auto address = parse_address(value.text, use);
  if (!address) return reader.bad(key, value, address.error().context);
  if (std::find(into.begin(), into.end(), *address) != into.end()) {
    return reader.bad(key, value, fmt::format("names {} twice", address->text()));
  }
  into.push_back(*std::move(address));
}

bool is_app_name(std::string_view name) {
  auto is_start = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); };
  if (name.empty() || name.size() > kAppNameMax || !is_start(name[0])) return false;
  return std::all_of(name.begin(), name.end(), [&](char c) { return is_start(c) || c == '-' || c == '_'; });
}

void read_addresses(Reader& reader, const Key& key, const Node& value, AddressUse use, std::vector<Address>& into) {
  into.clear();
  if (value.kind != Node::Kind::sequence) return add_address(reader, key, value, use, into);
  if (value.items.empty()) return reader.bad(key, value, "is an empty list");
  if (value.items.size() > kAddressesMax) {
    return reader.bad(key, value,
                      fmt::format("names {} addresses; {} are possible", value.items.size(), kAddressesMax));
  }
  for (const Node* item : value.items) add_address(reader, key, *item, use, into);
}

}  // namespace

void set_listen(Reader& reader, const Key& key, const Node& value, void* object) {
  std::vector<Address> addresses;
  read_addresses(reader, key, value, AddressUse::listener, addresses);
  for (Address& address : addresses) static_cast<Config*>(object)->listen.push_back({.address = std::move(address)});
}

void set_servers(Reader& reader, const Key& key, const Node& value, void* object) {
  if (value.kind != Node::Kind::sequence) {
    std::string_view found = kind_name(value.kind);
    return reader.bad(key, value, fmt::format("must be a list such as [\"127.0.0.1:3000\"], not {}", found));
  }
  read_addresses(reader, key, value, AddressUse::server, static_cast<App*>(object)->servers);
}

void set_runtime_dir(Reader& reader, const Key& key, const Node& value, void* object) {
  std::string path;
  if (!read_text(reader, key, value, path)) return;
  if (path[0] != '/') return reader.bad(key, value, fmt::format("must be an absolute path, not {}", in_quotes(path)));
  while (path.size() > 1 && path.back() == '/') path.pop_back();
  static_cast<Config*>(object)->runtime_dir = path;
}

void set_access_log(Reader& reader, const Key& key, const Node& value, void* object) {
  AccessLog& log = static_cast<Config*>(object)->access_log;
  std::string text;
  if (!read_text(reader, key, value, text)) return;
  if (text == "off") {
    log = {AccessLog::To::off, ""};
  } else if (text == "stdout") {
    log = {AccessLog::To::standard_output, ""};
  } else if (text.find('/') == std::string::npos) {
    reader.bad(key, value,
               fmt::format("must be off, stdout or a path with a \"/\" in it, not {}{}", in_quotes(text),
                           did_you_mean(text, {"off", "stdout"})));
  } else if (text.back() == '/') {
    reader.bad(key, value, "must name a file, not a directory");
  } else {
    log = {AccessLog::To::file, reader.absolute(text)};
  }
}

void set_apps(Reader& reader, const Key& key, const Node& value, void* object) {
  auto& apps = static_cast<Config*>(object)->apps;
  if (!reader.is_mapping(key, value, expected(key))) return;
  reader.each_entry(value, [&](const Node& name, const Node& settings) {
    if (!is_app_name(name.text)) {
      reader.problems().add(name.span, fmt::format("an app's name has 1 to {} of a-z, 0-9, \"-\" and \"_\", and begins "
                                                   "with a letter or digit; {} does not fit",
                                                   kAppNameMax, in_quotes(name.text)));
    } else if (apps.size() == 1) {
      reader.problems().add(name.span,
                            fmt::format("a second app, {}, needs routes to tell the two apart, which are not "
                                        "available in this version; keep one app",
                                        in_quotes(name.text)));
    }
    App app;
    app.name = name.text;
    app.place = {name.span.line, static_cast<int>(name.span.byte) + 1};
    app.directory = reader.base_directory();
    if (settings.kind != Node::Kind::mapping) {
      std::string_view found = kind_name(settings.kind);
      reader.problems().add(settings.span,
                            fmt::format("app {} must be a mapping such as {{command: node server.js}}, not {}",
                                        in_quotes(name.text), found));
      app.name.clear();  // nothing more is to be said of it
    } else {
      Reader::Below below(reader, app.name);
      reader.read(*key.inner, settings, &app);
    }
    apps.push_back(std::move(app));
  });
}

}  // namespace rota::config
