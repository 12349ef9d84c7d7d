// The files that env_file names: NAME=value lines as many tools write them. What the tools understand differently
// (blanks around "=", a name given twice, commands and variables in values) is refused rather than guessed.
//
//   # a comment
//   export NAME=value            "export" says nothing here
//   NAME=two words  # a comment  blanks at both ends do not count
//   NAME='as it is, $ and \ too' may go over several lines
//   NAME="\n \t \r \" \\ \$"     the escapes there are; may go over several lines
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace rota::config {

struct EnvFile {
  struct Problem {
    std::size_t offset = 0;
    std::size_t length = 1;
    std::string message;  // never with a part of a value
  };
  std::vector<std::pair<std::string, std::string>> variables;  // each name once, in the order of the file
  std::vector<Problem> problems;                               // in the order of the file
  std::string shown;  // the text with all but names and quotes made unreadable, byte by byte: to be shown of a problem
};

EnvFile parse_env_file(std::string_view text);

}  // namespace rota::config
