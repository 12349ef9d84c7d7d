// One octet that says what follows; the method if it is a rare one; the id, eight octets if it is one of ours; the
// path.
#include "rota/proxy/request_brief.h"

#include <array>
#include <cstring>

namespace rota::proxy {

namespace {

constexpr unsigned kMethodBits = 0x0f;
constexpr unsigned kOwnId = 0x40;
constexpr unsigned kPathCut = 0x80;

// In the order of http::Method.
constexpr std::array<std::string_view, 9> kMethods{"GET",     "HEAD",  "POST",  "PUT",    "DELETE",
                                                   "OPTIONS", "PATCH", "TRACE", "CONNECT"};
static_assert(static_cast<std::size_t>(http::Method::other) == kMethods.size());
static_assert(kMethods.size() <= kMethodBits && ipc::kMethodMax <= 255 && ipc::kRequestIdMax <= 255);

void append_short(std::string& out, std::string_view text) {
  out.push_back(static_cast<char>(text.size()));
  out.append(text);
}

std::string_view take(std::string_view& rest, std::size_t count) {
  const std::string_view part = rest.substr(0, count);
  rest.remove_prefix(part.size());
  return part;
}

std::string_view take_short(std::string_view& rest) { return take(rest, static_cast<unsigned char>(take(rest, 1)[0])); }

}  // namespace

HeldBytes brief_of(const ipc::RequestInFlight& request, http::Method method, const RequestIds& ids) {
  const std::optional<std::uint64_t> own = ids.number_of(request.request_id);
  std::string text(
      1, static_cast<char>(static_cast<unsigned>(method) | (own ? kOwnId : 0U) | (request.path_cut ? kPathCut : 0U)));
  if (method == http::Method::other) append_short(text, request.method);
  if (own) {
    text.append(reinterpret_cast<const char*>(&*own), sizeof *own);
  } else {
    append_short(text, request.request_id);
  }
  text.append(request.path);
  HeldBytes brief;
  brief.assign(text);
  return brief;
}

ipc::RequestInFlight read_brief(std::string_view brief, const RequestIds& ids) {
  ipc::RequestInFlight request;
  const unsigned flags = static_cast<unsigned char>(take(brief, 1)[0]);
  const std::size_t method = flags & kMethodBits;
  request.method = method < kMethods.size() ? kMethods[method] : take_short(brief);
  if ((flags & kOwnId) != 0) {
    std::uint64_t number = 0;
    std::memcpy(&number, take(brief, sizeof number).data(), sizeof number);
    request.request_id = ids.text_of(number);
  } else {
    request.request_id = take_short(brief);
  }
  request.path = brief;
  request.path_cut = (flags & kPathCut) != 0;
  return request;
}

}  // namespace rota::proxy
