// Is this request what workers die of? Only for apps with retry.poison_after.
#include "rota/base/log.h"
#include "rota/base/visible.h"
#include "rota/proxy/exchange.h"

namespace rota::proxy {

// One that was asked to end, or is gone from the state already, has not died of us; of others on TCP nothing is known.
bool Exchange::may_have_died() const {
  const Upstream& upstream = connection_->upstream();
  return upstream.kind() == ipc::UpstreamKind::unix_path && upstream.phase() != ipc::UpstreamPhase::draining &&
         !upstream.is_forgotten();
}

// Before it is tried again, or its client may send it again: a dying process closes its descriptors in no order, so
// that its listener may outlive the connection by a moment.
bool Exchange::waits_for_the_death(const RetryFacts& retry) const {
  return is_guarded() && state_ != State::doubting && retry.delivery == Delivery::possibly && may_have_died() &&
         connection_->upstream().is_listening();
}

void Exchange::note_loss() {
  const std::uint64_t upstream = connection_->upstream().id();
  const TimePoint now = context_.loop.now();
  if (!loss_noted_) add_to_lost(upstream, now);
  loss_noted_ = true;
  end_trial();
  if (is_guarded() && may_have_died() && !connection_->upstream().is_listening()) {
    context_.lost.blame(upstream, context_.suspects, now);
  }
}

void Exchange::add_to_lost(std::uint64_t upstream, TimePoint now) {
  ipc::RequestInFlight request = describe();
  if (!is_guarded() || request.answered) return context_.lost.add(upstream, std::move(request), now);
  context_.lost.add(upstream, std::move(request), now, {fingerprint(), app_->settings().poison_after, app_->name()});
}

// 0, which suspects nobody: of a request that goes on for long, begun before its app was guarded.
std::uint64_t Exchange::fingerprint() {
  if (fingerprint_ == 0 && !brief_) {
    fingerprint_ = context_.suspects.fingerprint_of(app_->name(), request_.view().substr(0, replay_->head_size));
  }
  return fingerprint_;
}

bool Exchange::refuse_poisoned() {
  if (!is_guarded() || !context_.suspects.any() || on_trial_) return false;
  switch (context_.suspects.ask(fingerprint(), app_->settings().poison_after, context_.loop.now())) {
    case Suspects::Verdict::pass: return false;
    case Suspects::Verdict::refuse:
      fail(Outcome::poisoned, "in flight at too many deaths of workers in a row");
      return true;
    case Suspects::Verdict::trial: break;
  }
  on_trial_ = true;
  const ipc::RequestInFlight request = describe();
  log::info("{}: {} {}, refused so far, is let through once, to see whether it still ends its worker", app_->name(),
            visible(request.method), visible(request.path));
  return false;
}

void Exchange::end_trial() {
  if (!on_trial_) return;
  on_trial_ = false;
  context_.suspects.trial_over(fingerprint(), context_.loop.now());
}

// Whatever the answer is: the worker lived to give it.
void Exchange::note_answer() {
  if (!is_guarded()) return;
  // A death of before this answer may be told of after it: it does not count any more.
  if (retries_ > 0) context_.lost.forgive(fingerprint());
  if (!context_.suspects.any()) return;
  on_trial_ = false;
  context_.suspects.answered(fingerprint());
}

}  // namespace rota::proxy
