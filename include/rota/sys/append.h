// Log files on disks that fill up.
#pragma once

#include <string_view>

namespace rota::sys {

// `written`: what the last writes to this file, opened for appending, have put at its end. Takes back what stands after
// the last line feed of it. False: half a line is left there, since this is no regular file or somebody else has
// written after it.
bool take_back_half_line(int fd, std::string_view written);

}  // namespace rota::sys
