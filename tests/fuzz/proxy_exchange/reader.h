// A reader of HTTP/1.1 messages that shares no line with http/: slow, plain, and whole messages only. What rota writes
// is read by the letter (`Manner::ours`); what a peer of rota's wrote as generously as rota may, and no more.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace rota::fuzz {

enum class Manner { ours, theirs };
enum class Verdict { unfinished, whole, broken };

struct Line {
  std::string_view name;
  std::string_view value;
};

struct Head {
  std::string_view start;  // the first line
  std::vector<Line> lines;
  std::size_t size = 0;

  std::size_t count(std::string_view lower) const;
  std::string_view value(std::string_view lower) const;  // of the first; empty: there is none
};

enum class Length { none, counted, chunked, until_close };
struct Framing {
  Length length = Length::none;
  std::uint64_t octets = 0;  // counted
};

struct Body {
  std::string content;
  std::vector<Line> trailers;
  std::size_t size = 0;  // on the wire
};

// Case-insensitively; the second is lower-case.
bool same(std::string_view text, std::string_view lower_case);
bool has_option(std::string_view list, std::string_view lower_case);  // a list of the Connection kind
bool is_digits(std::string_view text);
std::uint64_t number(std::string_view digits);  // UINT64_MAX: larger than any length

Verdict read_head(std::string_view bytes, Manner manner, Head& head);
// What the two fields that frame a body say together; `minor` is the version of who wrote them. False: nonsense.
bool read_framing(const Head& head, int minor, Framing& framing);
// `bytes` begin where the head ended. A body that the end delimits is unfinished here: the caller knows of ends.
Verdict read_body(std::string_view bytes, Framing framing, Manner manner, Body& body);

// A response as a whole: interim heads, the final one, its body.
struct Response {
  Verdict verdict = Verdict::unfinished;
  std::vector<Head> interims;
  Head head;
  int status = 0;  // of the final head; 101 counts as final; 0: it has not come
  int minor = 1;
  Framing framing;
  Body body;
  std::size_t begin = 0;  // of the final head
  std::size_t size = 0;   // of everything
  bool bodiless = false;  // whatever `framing` says
  bool keeps_alive = false;
};

// To a request of this method.
Response read_response(std::string_view bytes, std::string_view method, Manner manner);

}  // namespace rota::fuzz
