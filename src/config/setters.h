// How values get from the document into the structs: one function template per type for members of any struct, and one
// function for each key whose value is more than a scalar.
#pragma once

#include <string>

#include "reader.h"
#include "rota/config/config.h"
#include "table.h"

namespace rota::config {

template <class Struct, class Value>
Struct struct_of(Value Struct::*);

// object->*member, for the struct that the member pointer itself names.
template <auto kMember>
auto& member(void* object) {
  return static_cast<decltype(struct_of(kMember))*>(object)->*kMember;
}

// Each adds a problem and returns false when the value does not fit.
bool read_time(Reader& reader, const Key& key, const Node& value, Duration& into);
bool read_size(Reader& reader, const Key& key, const Node& value, Bytes& into);
bool read_number(Reader& reader, const Key& key, const Node& value, std::uint32_t& into);
bool read_boolean(Reader& reader, const Key& key, const Node& value, bool& into);
bool read_choice(Reader& reader, const Key& key, const Node& value, int& into);
bool read_text(Reader& reader, const Key& key, const Node& value, std::string& into);
// The path of a file to write to, made absolute.
bool read_file_path(Reader& reader, const Key& key, const Node& value, std::string& into);
// A text in which {socket} and {slot} will be replaced, but not where a variable has brought a part of them.
std::string filled_in(const Node& value);
// Is it one of the words that may stand instead of an amount?
bool is_word(const Key& key, const Node& value);

template <auto kMember>
void set_time(Reader& reader, const Key& key, const Node& value, void* object) {
  read_time(reader, key, value, member<kMember>(object));
}
template <auto kMember>
void set_size(Reader& reader, const Key& key, const Node& value, void* object) {
  read_size(reader, key, value, member<kMember>(object));
}
template <auto kMember>
void set_number(Reader& reader, const Key& key, const Node& value, void* object) {
  read_number(reader, key, value, member<kMember>(object));
}
template <auto kMember>
void set_boolean(Reader& reader, const Key& key, const Node& value, void* object) {
  read_boolean(reader, key, value, member<kMember>(object));
}
template <auto kMember>
void set_choice(Reader& reader, const Key& key, const Node& value, void* object) {
  int chosen = 0;
  auto& into = member<kMember>(object);
  if (read_choice(reader, key, value, chosen)) into = static_cast<std::remove_reference_t<decltype(into)>>(chosen);
}
template <auto kMember>
void set_text(Reader& reader, const Key& key, const Node& value, void* object) {
  read_text(reader, key, value, member<kMember>(object));
}
// The mapping below a key fills a struct of its own ...
template <auto kMember>
void set_struct(Reader& reader, const Key& key, const Node& value, void* object) {
  if (reader.is_mapping(key, value, expected(key))) reader.read(*key.inner, value, &member<kMember>(object));
}
// ... or the struct that the key itself stands in.
void set_same_struct(Reader& reader, const Key& key, const Node& value, void* object);

void set_listen(Reader& reader, const Key& key, const Node& value, void* object);
void set_listener_address(Reader& reader, const Key& key, const Node& value, void* object);
void set_trusted_proxies(Reader& reader, const Key& key, const Node& value, void* object);
void set_runtime_dir(Reader& reader, const Key& key, const Node& value, void* object);
void set_access_log(Reader& reader, const Key& key, const Node& value, void* object);
void set_apps(Reader& reader, const Key& key, const Node& value, void* object);

void set_command(Reader& reader, const Key& key, const Node& value, void* object);
void set_routes(Reader& reader, const Key& key, const Node& value, void* object);
void set_directory(Reader& reader, const Key& key, const Node& value, void* object);
void set_env(Reader& reader, const Key& key, const Node& value, void* object);
void set_env_file(Reader& reader, const Key& key, const Node& value, void* object);
void set_umask(Reader& reader, const Key& key, const Node& value, void* object);
void set_oom_score_adj(Reader& reader, const Key& key, const Node& value, void* object);
void set_workers(Reader& reader, const Key& key, const Node& value, void* object);
void set_socket(Reader& reader, const Key& key, const Node& value, void* object);
void set_health(Reader& reader, const Key& key, const Node& value, void* object);
void set_health_path(Reader& reader, const Key& key, const Node& value, void* object);
void set_ready(Reader& reader, const Key& key, const Node& value, void* object);
void set_signal(Reader& reader, const Key& key, const Node& value, void* object);
void set_log_file(Reader& reader, const Key& key, const Node& value, void* object);
void set_servers(Reader& reader, const Key& key, const Node& value, void* object);

void add_resource_limit(Reader& reader, const Key& key, const Node& value, int resource, App& app);
template <int kResource>
void set_resource_limit(Reader& reader, const Key& key, const Node& value, void* object) {
  add_resource_limit(reader, key, value, kResource, *static_cast<App*>(object));
}

// What an app's env_file names, put in front of its own env. After both keys have been read.
void merge_env_files(Reader& reader, App& app);

inline constexpr std::size_t kAddressesMax = 64;  // listeners; servers of an app
inline constexpr std::size_t kNetworksMax = 256;  // trusted_proxies
inline constexpr std::size_t kRoutesMax = 256;    // of an app
inline constexpr std::size_t kAppsMax = 256;
inline constexpr std::size_t kWordsMax = 1000;   // of a command
inline constexpr std::size_t kEnvMax = 1000;     // variables of an app
inline constexpr std::size_t kEnvFilesMax = 16;  // of an app

}  // namespace rota::config
