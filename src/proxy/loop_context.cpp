#include "rota/proxy/loop_context.h"

#include <ctime>

#include "rota/proxy/exchange.h"

namespace rota::proxy {

LoopContext::LoopContext(uv::Loop& loop_in, LogWriter& log_writer, Suspects& suspects_in, UpstreamEvents& events_in)
    : loop(loop_in),
      events(events_in),
      suspects(suspects_in),
      state(std::make_shared<ipc::ProxyState>()),
      request_parser(http::HeadLimits{}),
      response_parser(kResponseLimits),
      log_writer_(log_writer) {
  lines_.reserve(kLinesMax + 4096);
}

LoopContext::~LoopContext() = default;

http::HeadLimits LoopContext::head_limits() const {
  return {static_cast<std::size_t>(state->head.count), state->fields_max,
          static_cast<std::size_t>(state->target.count)};
}

std::string_view LoopContext::date() {
  std::int64_t second = wall_ms() / 1000;
  if (second != date_second_) {
    date_second_ = second;
    http::format_date(date_, second);
  }
  return {date_, http::kDateLength};
}

std::int64_t LoopContext::wall_ms() {
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME_COARSE, &now);
  return static_cast<std::int64_t>(now.tv_sec) * 1000 + now.tv_nsec / 1000000;
}

std::int64_t LoopContext::monotonic_ns() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

void LoopContext::log_access(const AccessRecord& record) {
  append_access_line(lines_, record);
  if (lines_.size() >= kLinesMax) flush_access_log();
}

void LoopContext::flush_access_log() {
  if (!lines_.empty()) log_writer_.hand_over(lines_);
}

std::unique_ptr<Exchange> LoopContext::take_exchange() {
  std::unique_ptr<Exchange> exchange = exchanges_.take();
  return exchange != nullptr ? std::move(exchange) : std::make_unique<Exchange>(*this);
}

void LoopContext::give_back(std::unique_ptr<Exchange> exchange) {
  // A method of it may be on the stack: it is never destroyed here, and taken again only by a later callback.
  exchange->trim();
  if (!exchanges_.give_back(exchange)) loop.retire(std::move(exchange));
}

std::unique_ptr<http::ChunkedDecoder> LoopContext::take_decoder(std::uint64_t content_max) {
  std::unique_ptr<http::ChunkedDecoder> decoder = decoders_.take();
  if (decoder == nullptr) return std::make_unique<http::ChunkedDecoder>(content_max);
  decoder->reset(content_max);
  return decoder;
}

void LoopContext::give_back(std::unique_ptr<http::ChunkedDecoder> decoder) { decoders_.give_back(decoder); }

}  // namespace rota::proxy
