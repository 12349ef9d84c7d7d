// The fields of a request that the access log and the error pages want.
#pragma once

#include <string_view>

#include "rota/http/request_head.h"

namespace rota::proxy {

// "" when absent.
struct NotedFields {
  std::string_view user_agent;
  std::string_view referer;
  std::string_view accept;
};

inline NotedFields noted_fields(const http::RequestHead& head) {
  NotedFields noted;
  for (const http::Field& field : head.fields) {
    switch (field.name.size()) {
      case 6:
        if (http::equals_lower(field.name, "accept")) noted.accept = field.value;
        break;
      case 7:
        if (http::equals_lower(field.name, "referer")) noted.referer = field.value;
        break;
      case 10:
        if (http::equals_lower(field.name, "user-agent")) noted.user_agent = field.value;
        break;
      default: break;
    }
  }
  return noted;
}

}  // namespace rota::proxy
