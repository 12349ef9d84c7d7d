// Sealed memfds: bytes written once and handed over by fd, which nobody can change under the reader.
#pragma once

#include <string>
#include <string_view>

#include "rota/base/result.h"
#include "rota/base/unique_fd.h"

namespace rota::sys {

// Close-on-exec, sealed against writing, growing, shrinking and further seals.
Result<UniqueFd> make_sealed_memfd(const std::string& name, std::string_view bytes);
// protocol: not a memfd, or not fully sealed. limit: more than `max` bytes. The fd's file position is neither used nor
// moved.
Result<std::string> read_sealed_memfd(int fd, std::size_t max);
// protocol, limit as above, without reading it. The size.
Result<std::size_t> check_sealed_memfd(int fd, std::size_t max);

}  // namespace rota::sys
