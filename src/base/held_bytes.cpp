#include "rota/base/held_bytes.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "rota/base/check.h"

namespace rota {

void HeldBytes::Free::operator()(Block* block) const noexcept { std::free(block); }

std::string_view HeldBytes::view() const {
  return block_ == nullptr ? std::string_view() : std::string_view(bytes_of(block_.get()), block_->size);
}

void HeldBytes::reserve(std::size_t capacity) {
  ROTA_CHECK(capacity <= UINT32_MAX);
  const std::size_t held = size();
  void* memory = std::realloc(block_.get(), sizeof(Block) + capacity);
  ROTA_CHECK(memory != nullptr);
  static_cast<void>(block_.release());  // realloc() has freed it, or it is where it was
  block_.reset(static_cast<Block*>(memory));
  block_->size = static_cast<std::uint32_t>(held);
  block_->capacity = static_cast<std::uint32_t>(capacity);
}

void HeldBytes::append(std::string_view bytes) {
  if (bytes.empty()) return;
  const std::size_t held = size();
  const std::size_t need = held + bytes.size();
  // The first piece may be the last one; behind it the next ones are likely to be as small.
  if (need > capacity()) reserve(held == 0 ? need : need + std::min(need / 4, kSlackMax));
  std::memcpy(bytes_of(block_.get()) + held, bytes.data(), bytes.size());
  block_->size = static_cast<std::uint32_t>(need);
}

void HeldBytes::assign(std::string_view bytes) {
  clear();
  append(bytes);
}

void HeldBytes::remove_prefix(std::size_t count) {
  if (count == 0) return;
  const std::size_t left = size() - count;
  char* bytes = bytes_of(block_.get());
  std::memmove(bytes, bytes + count, left);
  block_->size = static_cast<std::uint32_t>(left);
}

void HeldBytes::truncate(std::size_t size) {
  if (block_ != nullptr) block_->size = std::min(block_->size, static_cast<std::uint32_t>(size));
}

}  // namespace rota
