// Bytes that have to wait, in memory hardly larger than they are: a pointer while there are none, and never more than
// kSlackMax beyond what came. For many owners that hold little; what grows fast is better kept in a std::string.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

namespace rota {

class HeldBytes {
 public:
  static constexpr std::size_t kSlackMax = 128;

  bool empty() const { return size() == 0; }
  std::size_t size() const { return block_ == nullptr ? 0 : block_->size; }
  std::size_t capacity() const { return block_ == nullptr ? 0 : block_->capacity; }
  // Until the next change.
  std::string_view view() const;

  // `bytes` may not be of this object.
  void append(std::string_view bytes);
  void assign(std::string_view bytes);
  void remove_prefix(std::size_t count);
  void truncate(std::size_t size);  // keeps its memory, as clear() does
  void clear() { truncate(0); }
  void release() { block_.reset(); }

 private:
  struct Block {
    std::uint32_t size;
    std::uint32_t capacity;
  };
  struct Free {
    void operator()(Block* block) const noexcept;
  };
  static char* bytes_of(Block* block) { return reinterpret_cast<char*>(block + 1); }
  void reserve(std::size_t capacity);

  std::unique_ptr<Block, Free> block_;
};

}  // namespace rota
