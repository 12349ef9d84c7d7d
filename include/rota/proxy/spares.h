// Objects that lie ready to be used again, with the memory they have: a few, so that a burst is soon forgotten.
#pragma once

#include <cstddef>
#include <memory>
#include <utility>
#include <vector>

namespace rota::proxy {

template <class T>
class Spares {
 public:
  static constexpr std::size_t kMax = 256;

  Spares() { list_.reserve(kMax); }

  // Null: there is none.
  std::unique_ptr<T> take() {
    if (list_.empty()) return nullptr;
    std::unique_ptr<T> object = std::move(list_.back());
    list_.pop_back();
    return object;
  }
  // False: there are enough, and the caller keeps it.
  bool give_back(std::unique_ptr<T>& object) {
    if (list_.size() >= kMax) return false;
    list_.push_back(std::move(object));
    return true;
  }

 private:
  std::vector<std::unique_ptr<T>> list_;
};

}  // namespace rota::proxy
