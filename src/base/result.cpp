#include "rota/base/result.h"

#include <cstring>

namespace rota {

namespace {

Errc code_of(int sys) {
  switch (sys) {
    case ENOENT:
    case ESRCH:
    case ENOTDIR: return Errc::not_found;
    case EACCES:
    case EPERM: return Errc::denied;
    case EADDRINUSE:
    case EEXIST: return Errc::in_use;
    case EAGAIN: return Errc::would_block;
    case EPIPE:
    case ECONNRESET: return Errc::closed;
    case EINVAL: return Errc::invalid;
    case EMFILE:
    case ENFILE: return Errc::limit;
    default: return Errc::os;
  }
}

}  // namespace

std::string Error::text() const {
  if (sys == 0) return context;
  return context + ": " + ::strerrordesc_np(sys);
}

Error os_error(std::string context, int sys) { return Error{code_of(sys), sys, std::move(context)}; }

}  // namespace rota
