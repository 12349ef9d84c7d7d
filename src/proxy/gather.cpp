#include "rota/proxy/gather.h"

#include "rota/base/check.h"
#include "rota/http/chunked.h"

namespace rota::proxy {

void Gather::push(Part part) {
  ROTA_CHECK(count_ < kPartsMax);
  size_ += part.length;
  list_[count_++] = part;
}

void Gather::add(std::string_view bytes) {
  if (bytes.empty()) return;
  if (count_ > 0) {
    Part& last = list_[count_ - 1];
    if (last.borrowed != nullptr && last.borrowed + last.length == bytes.data()) {
      last.length += bytes.size();
      size_ += bytes.size();
      return;
    }
  }
  push({bytes.data(), 0, bytes.size()});
}

void Gather::end_text() {
  std::size_t length = text_.size() - text_from_;
  if (length == 0) return;
  if (count_ > 0) {
    Part& last = list_[count_ - 1];
    if (last.borrowed == nullptr && last.offset + last.length == text_from_) {
      last.length += length;
      size_ += length;
      return;
    }
  }
  push({nullptr, text_from_, length});
}

void Gather::add_chunk(std::string_view data) {
  if (data.empty()) return;  // an empty chunk would end the body
  char line[http::kChunkLineMax];
  begin_text();
  text_.append(line, http::write_chunk_line(line, data.size()));
  if (data.size() <= kCopiedChunk) {
    text_.append(data).append(http::kChunkEnd);
    return end_text();
  }
  end_text();
  add(data);
  begin_text();
  text_.append(http::kChunkEnd);
  end_text();
}

std::span<const iovec> Gather::parts() {
  for (std::size_t i = 0; i < count_; i++) {
    const char* at = list_[i].borrowed != nullptr ? list_[i].borrowed : text_.data() + list_[i].offset;
    iovecs_[i] = {const_cast<char*>(at), list_[i].length};
  }
  return {iovecs_.data(), count_};
}

void Gather::append_to(std::string& out) {
  for (const iovec& part : parts()) out.append(static_cast<const char*>(part.iov_base), part.iov_len);
}

void Gather::clear() {
  count_ = 0;
  size_ = 0;
  text_.clear();
}

}  // namespace rota::proxy
