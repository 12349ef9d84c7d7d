// Writes rota.yaml(5): rota.yaml.5.in with the line @KEYS@ replaced by every key of the parser's own table. A program
// of the build, never installed; it must not know the file format beyond what config::all_keys() says.
#include <cstdio>
#include <fstream>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "rota/config/keys.h"

namespace {

// Text as roff takes it: no escapes, no line that begins like a request, dashes that can be copied.
std::string roff(std::string_view text) {
  std::string out;
  for (char c : text) {
    if (c == '\\') {
      out += "\\e";
    } else if (c == '-') {
      out += "\\-";
    } else {
      out += c;
    }
  }
  if (!out.empty() && (out.front() == '.' || out.front() == '\'')) out.insert(0, "\\&");
  return out;
}

std::string without_last(const std::string& path) {
  auto dot = path.rfind('.');
  return dot == std::string::npos ? "" : path.substr(0, dot);
}

void write_key(std::ostream& out, const rota::config::KeyFacts& key) {
  out << ".TP\n.B " << roff(key.path) << "\n";
  out << "(" << roff(key.type);
  if (!key.initial_shown.empty()) out << "; default: " << roff(key.initial_shown);
  if (!key.limits.empty()) out << "; " << roff(key.limits);
  if (!key.effect.empty()) out << "; takes effect: " << roff(key.effect);
  out << ")\n.br\n" << roff(key.doc) << "\n";
  if (key.spawned_only) out << "Only for an app with\n.BR command .\n";
}

// A heading for each mapping, in the order of the table; keys stand below the mapping they belong to.
void write_keys(std::ostream& out) {
  std::vector<std::string> order;
  std::map<std::string, std::vector<rota::config::KeyFacts>> sections;
  for (const auto& key : rota::config::all_keys()) {
    std::string section = without_last(key.path);
    if (sections.find(section) == sections.end()) order.push_back(section);
    sections[section].push_back(key);
  }
  for (const auto& section : order) {
    out << ".SS " << (section.empty() ? "Top level" : roff(section)) << "\n";
    for (const auto& key : sections[section]) write_key(out, key);
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) {
    std::fprintf(stderr, "usage: rota_yaml_page TEMPLATE VERSION OUTPUT\n");
    return 2;
  }
  std::ifstream in(argv[1]);
  std::ofstream out(argv[3]);
  std::string line;
  while (std::getline(in, line)) {
    if (line == "@KEYS@") {
      write_keys(out);
    } else {
      auto at = line.find("@VERSION@");
      if (at != std::string::npos) line.replace(at, 9, argv[2]);
      out << line << "\n";
    }
  }
  out.flush();
  if (!in.eof() || !out) {
    std::fprintf(stderr, "rota_yaml_page: cannot read %s or write %s\n", argv[1], argv[3]);
    return 1;
  }
  return 0;
}
