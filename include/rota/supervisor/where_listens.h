// Where a process group listens, when it does not listen where it was told to: for one sentence to the operator.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace rota::supervisor {

// Listening sockets among these inodes in the text of /proc/PID/net/tcp or tcp6: "tcp port 3000".
std::vector<std::string> listening_tcp(std::string_view table, const std::set<std::uint64_t>& inodes);
// The same for /proc/PID/net/unix: "unix:/run/x.sock".
std::vector<std::string> listening_unix(std::string_view table, const std::set<std::uint64_t>& inodes);

// "listens on tcp port 3000; it must listen on ...", or empty when nothing can be seen. own_path: where it should.
std::string explain_listening(int leader, const std::string& own_path);

}  // namespace rota::supervisor
