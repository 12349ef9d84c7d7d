// Any bytes as an env file, as a value with variables and as a text with placeholders: no crash, places inside of the
// text, and nothing of a value in what is shown.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "rota/config/env_file.h"
#include "rota/config/interpolation.h"
#include "rota/config/placeholders.h"

namespace {

using namespace rota::config;

void check_env_file(std::string_view text) {
  EnvFile file = parse_env_file(text);
  if (file.shown.size() != text.size()) std::abort();
  for (const EnvFile::Problem& problem : file.problems) {
    if (problem.message.empty() || problem.offset + problem.length > text.size() + 1) std::abort();
  }
  for (const auto& [name, value] : file.variables) {
    if (name.empty() || name.find_first_of("= \n") != std::string::npos) std::abort();
    if (value.find('\0') != std::string::npos) std::abort();
  }
}

void check_interpolation(std::string_view text) {
  ::setenv("A", "{socket} ${B}", 1);
  ::setenv("A_KEY", "{{slot}}", 1);
  Interpolated done = interpolate(text);
  if (done.problem && done.problem->offset + done.problem->length > text.size()) std::abort();
  if (done.problem) return;
  if (text.find("${") == std::string_view::npos && done.text != text) std::abort();
  for (const Inserted& part : done.inserted) {
    if (part.offset + part.length > done.text.size()) std::abort();
  }
  static_cast<void>(without_inserted_placeholders(done.text, done.inserted));
}

// As the supervisor fills them, with nothing to put in.
std::string filled(std::string_view text) {
  std::string out;
  std::size_t done = 0;
  while (auto found = find_placeholder(text, done)) {
    std::string_view whole = text.substr(found->offset, found->length);
    out += text.substr(done, found->offset - done);
    if (found->literal) out += whole.substr(1, whole.size() - 2);
    done = found->offset + found->length;
  }
  return out + std::string(text.substr(done));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t size) {
  std::string_view text(reinterpret_cast<const char*>(bytes), size);
  check_env_file(text);
  check_interpolation(text);
  if (filled(without_placeholders(text)) != text) std::abort();
  if (without_inserted_placeholders(text, {}) != text) std::abort();
  if (auto near = find_near_placeholder(text); near && near->offset + near->length > size) std::abort();
  return 0;
}
