// A server's name, followed: looked up now and then, and soon when one of its addresses cannot be reached. The loop
// never waits for a name service. An answer without an address changes nothing but the time of the next question: what
// was known stays known.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "rota/supervisor/lookup.h"

namespace rota::supervisor {

inline constexpr std::size_t kServerAddressesMax = 16;  // of one name; what goes beyond it is not used, and said
inline constexpr Duration kResolveEvery{30s};
inline constexpr Duration kResolveAgain{1s};  // at least between two questions; doubled while there is no answer

class FollowedName;
class NameListener {
 public:
  // Its addresses are not what they were, or it is known for the first time that there is none.
  virtual void on_name(FollowedName& name) = 0;

 protected:
  ~NameListener() = default;
};

class FollowedName final : LookupListener, uv::TimerListener {
 public:
  struct Pace {
    Duration every = kResolveEvery;
    Duration again = kResolveAgain;
    Duration patience = kLookupPatience;
  };
  // label: "app legacy", for messages. known: what an earlier supervisor had found.
  FollowedName(uv::Loop& loop, std::string label, std::string host, std::vector<std::string> known, Pace pace,
               Lookup::Ask ask, NameListener& listener);

  void start() { question(); }
  // A connect to one of its addresses has failed.
  void doubt();

  const std::string& host() const { return host_; }
  const std::vector<std::string>& addresses() const { return addresses_; }  // numeric, sorted
  std::uint32_t failures() const { return failures_; }                      // questions in a row without an answer
  const std::string& error() const { return error_; }                       // of the last one, one clause

 private:
  void question();
  void on_looked_up(const ResolvedNames& names) override;
  void on_timer(uv::Timer& timer) override;
  void found(std::vector<std::string> addresses);
  void failed(const std::string& error);

  uv::Loop& loop_;
  std::string label_;
  std::string host_;
  std::vector<std::string> addresses_;
  Pace pace_;
  Lookup::Ask ask_;
  NameListener& listener_;
  std::uint32_t failures_ = 0;
  std::string error_;
  bool too_many_told_ = false;
  TimePoint asked_at_{};
  uv::Timer timer_;
  bool asking_ = false;             // one question at a time
  std::unique_ptr<Lookup> lookup_;  // the last one
};

// Until the next question after so many in a row without an answer: `again` doubled, at most `every`.
Duration until_next_question(const FollowedName::Pace& pace, std::uint32_t failures);

}  // namespace rota::supervisor
