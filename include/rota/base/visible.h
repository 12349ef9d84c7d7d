// Text from strangers, for logs.
#pragma once

#include <string>
#include <string_view>

namespace rota {

// Everything but visible ASCII as \xNN: no forged line, no moved cursor, no letter that looks like another.
std::string visible(std::string_view bytes);

}  // namespace rota
