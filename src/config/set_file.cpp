// The keys of the file's top level that are more than a scalar.
#include <fmt/format.h>

#include <algorithm>

#include "rota/config/address.h"
#include "rota/config/network.h"
#include "rota/config/suggest.h"
#include "rota/config/units.h"
#include "setters.h"
#include "syntax.h"

namespace rota::config {

namespace {

constexpr std::size_t kAppNameMax = 32;

struct ReadListener : Listener {
  bool has_address = false;
};

bool is_app_name(std::string_view name) {
  auto is_start = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); };
  if (name.empty() || name.size() > kAppNameMax || !is_start(name[0])) return false;
  return std::all_of(name.begin(), name.end(), [&](char c) { return is_start(c) || c == '-' || c == '_'; });
}

bool read_address(Reader& reader, const Key& key, const Node& value, AddressUse use, Address& into) {
  if (!reader.is_scalar(key, value, expected(key))) return false;
  auto address = parse_address(value.text, use);
  if (!address) {
    reader.bad(key, value, address.error().context);
    return false;
  }
  into = *std::move(address);
  return true;
}

void add_listener(Reader& reader, const Key& key, const Node& value, std::vector<Listener>& into) {
  Reader::Below below(reader, std::to_string(into.size()));
  reader.remember(value);
  ReadListener read;
  if (value.kind == Node::Kind::mapping) {
    reader.read(*key.inner, value, static_cast<Listener*>(&read));
    if (reader.given(reader.path() + ".address") == nullptr) {
      return reader.bad(key, value, "has options but no address; write {address: 8080, ...}");
    }
  } else {
    read.has_address = read_address(reader, key, value, AddressUse::listener, read.address);
  }
  if (!read.has_address) return;
  bool is_known =
      std::any_of(into.begin(), into.end(), [&](const Listener& one) { return one.address == read.address; });
  if (is_known) return reader.bad(key, value, fmt::format("names {} twice", in_quotes(read.address.text())));
  into.push_back(read);
}

void add_trusted(Reader& reader, const Key& key, const Node& value, TrustedProxies& into) {
  if (!reader.is_scalar(key, value, expected(key))) return;
  bool is_new = true;
  if (value.text == "unix") {
    is_new = !into.unix_peers;
    into.unix_peers = true;
  } else {
    auto network = parse_network(value.text);
    if (!network) return reader.bad(key, value, network.error().context);
    is_new = std::find(into.networks.begin(), into.networks.end(), *network) == into.networks.end();
    if (is_new) into.networks.push_back(*network);
  }
  if (!is_new) reader.bad(key, value, fmt::format("names {} twice", in_quotes(value.text)));
}

// Each item of a list, or the one value. A list has at most `most`.
template <class Use>
void each_item(Reader& reader, const Key& key, const Node& value, std::size_t most, Use use) {
  if (value.kind != Node::Kind::sequence) return use(value);
  if (value.items.size() > most) {
    return reader.bad(key, value, fmt::format("has {} entries; {} are possible", value.items.size(), most));
  }
  for (const Node* item : value.items) use(*item);
}

void read_app(Reader& reader, const Key& key, const Node& name, const Node& settings, std::vector<App>& apps) {
  if (!is_app_name(name.text)) {
    reader.problems().add(name.span, fmt::format("an app's name has 1 to {} of a-z, 0-9, \"-\" and \"_\", and begins "
                                                 "with a letter or digit; {} does not fit",
                                                 kAppNameMax, in_quotes(name.text)));
  }
  App app;
  app.name = name.text;
  app.place = {name.span.line, static_cast<int>(name.span.byte) + 1};
  app.directory = reader.base_directory();
  if (settings.kind == Node::Kind::scalar && colon_without_space(settings.text) != std::string::npos) {
    reader.problems().add(settings.span, "a space is missing behind the \":\"");
    app.name.clear();
  } else if (settings.kind != Node::Kind::mapping) {
    reader.problems().add(settings.span,
                          fmt::format("app {} must be a mapping such as {{command: node server.js}}, not {}",
                                      in_quotes(name.text), kind_name(settings.kind)));
    app.name.clear();  // nothing more is to be said of it
  } else {
    Reader::Below below(reader, app.name);
    reader.read(*key.inner, settings, &app);
    merge_env_files(reader, app);
  }
  apps.push_back(std::move(app));
}

}  // namespace

void set_listen(Reader& reader, const Key& key, const Node& value, void* object) {
  auto& listen = static_cast<Config*>(object)->listen;
  if (value.kind == Node::Kind::sequence && value.items.empty())
    return reader.bad(key, value, "is an empty list; name an address, such as 8080");
  each_item(reader, key, value, kAddressesMax, [&](const Node& item) { add_listener(reader, key, item, listen); });
}

void set_listener_address(Reader& reader, const Key& key, const Node& value, void* object) {
  auto& listener = static_cast<ReadListener&>(*static_cast<Listener*>(object));
  listener.has_address = read_address(reader, key, value, AddressUse::listener, listener.address);
}

void set_trusted_proxies(Reader& reader, const Key& key, const Node& value, void* object) {
  auto& trusted = static_cast<Config*>(object)->trusted_proxies;
  each_item(reader, key, value, kNetworksMax, [&](const Node& item) { add_trusted(reader, key, item, trusted); });
}

void set_servers(Reader& reader, const Key& key, const Node& value, void* object) {
  auto& servers = static_cast<App*>(object)->servers;
  if (value.kind != Node::Kind::sequence) {
    std::string_view found = kind_name(value.kind);
    return reader.bad(key, value, fmt::format("must be a list such as [\"127.0.0.1:3000\"], not {}", found));
  }
  if (value.items.empty()) return reader.bad(key, value, "is an empty list; name a server, such as 127.0.0.1:3000");
  each_item(reader, key, value, kAddressesMax, [&](const Node& item) {
    Address address;
    if (!read_address(reader, key, item, AddressUse::server, address)) return;
    if (std::find(servers.begin(), servers.end(), address) != servers.end()) {
      return reader.bad(key, item, fmt::format("names {} twice", in_quotes(address.text())));
    }
    servers.push_back(std::move(address));
  });
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
    std::string hint = did_you_mean(text, {"off", "stdout"});
    if (hint.empty()) hint = fmt::format("; write {} for a file beside this one", in_quotes("./" + text));
    reader.bad(key, value,
               fmt::format("must be off, stdout or a path with a \"/\" in it, not {}{}", in_quotes(text), hint));
  } else if (std::string path; read_file_path(reader, key, value, path)) {
    log = {AccessLog::To::file, std::move(path)};
  }
}

void set_apps(Reader& reader, const Key& key, const Node& value, void* object) {
  auto& apps = static_cast<Config*>(object)->apps;
  if (value.kind == Node::Kind::null) return;  // as good as {}: the caller says that there are none
  if (!reader.is_mapping(key, value, expected(key))) return;
  if (value.entries.size() > kAppsMax) {
    return reader.bad(key, value, fmt::format("has {} apps; {} are possible", value.entries.size(), kAppsMax));
  }
  reader.each_entry(value,
                    [&](const Node& name, const Node& settings) { read_app(reader, key, name, settings, apps); });
}

}  // namespace rota::config
