// Dates without the C library: no locale, no time zone, no lock.
#include <chrono>
#include <cstring>

#include "rota/base/check.h"
#include "rota/http/serialize.h"

namespace rota::http {

namespace {

char* two_digits(char* out, unsigned number) {
  *out++ = static_cast<char>('0' + number / 10);
  *out++ = static_cast<char>('0' + number % 10);
  return out;
}

char* text(char* out, const char* from, std::size_t length) {
  std::memcpy(out, from, length);
  return out + length;
}

}  // namespace

void format_date(char* out, std::int64_t unix_seconds) {
  using namespace std::chrono;
  constexpr const char* kDays[] = {"Sun, ", "Mon, ", "Tue, ", "Wed, ", "Thu, ", "Fri, ", "Sat, "};
  constexpr const char* kMonths[] = {" Jan ", " Feb ", " Mar ", " Apr ", " May ", " Jun ",
                                     " Jul ", " Aug ", " Sep ", " Oct ", " Nov ", " Dec "};
  constexpr std::int64_t kEndOf9999 = 253402300799;
  ROTA_CHECK(unix_seconds >= 0 && unix_seconds <= kEndOf9999);
  constexpr std::int64_t kDay = 86400;
  const sys_days day{days{unix_seconds / kDay}};
  const year_month_day date{day};
  const auto second = static_cast<unsigned>(unix_seconds % kDay);
  const auto year = static_cast<unsigned>(static_cast<int>(date.year()));

  char* at = text(out, kDays[weekday{day}.c_encoding()], 5);
  at = two_digits(at, static_cast<unsigned>(date.day()));
  at = text(at, kMonths[static_cast<unsigned>(date.month()) - 1], 5);
  at = two_digits(two_digits(at, year / 100), year % 100);
  *at++ = ' ';
  at = two_digits(at, second / 3600);
  *at++ = ':';
  at = two_digits(at, second / 60 % 60);
  *at++ = ':';
  at = two_digits(at, second % 60);
  at = text(at, " GMT", 4);
  ROTA_CHECK(at == out + kDateLength);
}

}  // namespace rota::http
