// Messages from any thread to one: posted under a lock, taken all at once. The poster wakes the taker's loop itself.
// Bounded by its users: each kind of message is sent at most once per state change, ping, or upstream event.
#pragma once

#include <mutex>
#include <utility>
#include <vector>

namespace rota::proxy {

template <class Message>
class Mailbox {
 public:
  void post(Message message) {
    std::lock_guard lock(mutex_);
    waiting_.push_back(std::move(message));
  }
  std::vector<Message> take() {
    std::lock_guard lock(mutex_);
    return std::exchange(waiting_, {});
  }

 private:
  std::mutex mutex_;
  std::vector<Message> waiting_;
};

}  // namespace rota::proxy
