// Methods beyond the enumeration that are forwarded as they are.
#pragma once

#include <string_view>

namespace rota::http {

// The IANA method registry (WebDAV, versioning, calendars, QUERY), and what HTTP caches and UPnP have made common.
bool is_registered_method(std::string_view token);

}  // namespace rota::http
