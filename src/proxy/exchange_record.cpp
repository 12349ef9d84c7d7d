#include "rota/proxy/exchange_record.h"

#include "rota/proxy/loop_context.h"

namespace rota::proxy {

namespace {

double milliseconds(std::int64_t nanoseconds) { return static_cast<double>(nanoseconds) / 1e6; }

}  // namespace

void ExchangeRecord::begin() {
  bytes_received = bytes_sent = 0;
  text_.clear();
  ends_ = {};
  slot_ = -1;
  wall_ms_ = LoopContext::wall_ms();
  started_ns_ = attempt_ns_ = LoopContext::monotonic_ns();
  queue_ns_ = connect_ns_ = 0;
  first_byte_ns_ = -1;
}

void ExchangeRecord::note(const RequestNotes& notes) {
  const std::array<std::string_view, kNotes> all{notes.client, notes.request_id, notes.method, notes.host,
                                                 notes.target, notes.user_agent, notes.referer};
  std::size_t size = 0;
  for (std::string_view one : all) size += one.size();
  text_.clear();
  text_.reserve(size);
  for (std::size_t i = 0; i < all.size(); i++) {
    text_.append(all[i]);
    ends_[i] = static_cast<std::uint32_t>(text_.size());
  }
}

void ExchangeRecord::attempt(std::string_view upstream, std::int64_t slot, std::int64_t searched_ns) {
  attempt_ns_ = LoopContext::monotonic_ns();
  connect_ns_ += searched_ns;
  queue_ns_ = attempt_ns_ - searched_ns - started_ns_;
  slot_ = slot;
  text_.resize(ends_.back());
  text_.append(upstream);
}

void ExchangeRecord::connected() { connect_ns_ += LoopContext::monotonic_ns() - attempt_ns_; }

void ExchangeRecord::first_byte() {
  if (first_byte_ns_ < 0) first_byte_ns_ = LoopContext::monotonic_ns() - started_ns_;
}

void ExchangeRecord::tell(AccessRecord& record) const {
  std::array<std::string_view, kNotes> parts;
  std::size_t from = 0;
  for (std::size_t i = 0; i < kNotes; i++) {
    parts[i] = std::string_view(text_).substr(from, ends_[i] - from);
    from = ends_[i];
  }
  record.client = parts[0];
  record.request_id = parts[1];
  record.method = parts[2];
  record.host = parts[3];
  record.target = parts[4];
  record.user_agent = parts[5];
  record.referer = parts[6];
  record.upstream = std::string_view(text_).substr(from);
  record.bytes_received = bytes_received;
  record.bytes_sent = bytes_sent;
  record.slot = slot_;
  record.time_ms = wall_ms_;
  const std::int64_t total_ns = LoopContext::monotonic_ns() - started_ns_;
  record.total_ms = milliseconds(total_ns);
  record.queue_ms = milliseconds(slot_ < 0 ? total_ns : queue_ns_);
  record.connect_ms = milliseconds(connect_ns_);
  record.first_byte_ms = first_byte_ns_ < 0 ? -1 : milliseconds(first_byte_ns_);
}

void ExchangeRecord::trim() {
  if (text_.capacity() > kKept) std::string().swap(text_);
}

}  // namespace rota::proxy
