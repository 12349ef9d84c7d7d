// The request-target: which of its four forms, and what goes to the worker (RFC 9112 3.2).
#pragma once

#include <string_view>

#include "rota/http/message.h"

namespace rota::http {

struct Target {
  std::string_view to_worker;  // origin-form, or "*"
  bool needs_slash = false;    // `to_worker` is a query whose path was empty: "/" belongs before it
  bool absolute = false;
  std::string_view authority;  // of an absolute-form target, without userinfo
};

// `text` holds only octets of class kTarget and is not empty. CONNECT is not asked for. Status 0: `target` is filled.
Rejection judge_target(Method method, std::string_view text, Target& target);

}  // namespace rota::http
