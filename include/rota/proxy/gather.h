// Collects what one write(2) shall carry: spans of others' memory and text made here. Nothing is copied until the
// write.
#pragma once

#include <sys/uio.h>

#include <array>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>

namespace rota::proxy {

class Gather {
 public:
  static constexpr std::size_t kPartsMax = 30;
  static constexpr std::size_t kCopiedChunk = 256;  // a chunk so small costs less copied than as a part of its own

  // Borrowed until clear(). Two borrowed parts that touch become one.
  void add(std::string_view bytes);
  // What the caller appends to text() between begin_text() and end_text() becomes a part.
  std::string& text() { return text_; }
  void begin_text() { text_from_ = text_.size(); }
  void end_text();
  // Data as one chunk of the chunked coding.
  void add_chunk(std::string_view data);

  bool empty() const { return count_ == 0; }
  bool nearly_full() const { return count_ + 4 > kPartsMax; }
  std::size_t size() const { return size_; }
  std::span<const iovec> parts();
  void append_to(std::string& out);
  void clear();

 private:
  struct Part {
    const char* borrowed;  // null: `offset` in text_
    std::size_t offset;
    std::size_t length;
  };
  void push(Part part);

  std::array<Part, kPartsMax> list_;
  std::array<iovec, kPartsMax> iovecs_;
  std::size_t count_ = 0;
  std::size_t size_ = 0;
  std::size_t text_from_ = 0;
  std::string text_;
};

}  // namespace rota::proxy
