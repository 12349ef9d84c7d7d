#include "rota/supervisor/probe.h"

#include <fmt/format.h>

#include <cerrno>

#include "rota/http/response_head.h"

namespace rota::supervisor {

namespace {

using Kind = ProbeOutcome::Kind;

// How often a TCP connect under way is looked at when nothing is to be sent on it. Checks are rare and few.
constexpr Duration kConnectLook{20};

ProbeOutcome failed(int error) {
  if (error == ECONNREFUSED || error == ENOENT) return {Kind::gone, 0, error};
  if (error == EAGAIN) return {Kind::busy, 0, error};
  if (error == ETIMEDOUT) return {Kind::timeout, 0, error};
  return {Kind::broken, 0, error};
}

}  // namespace

std::optional<ProbeOutcome> Probe::start(uv::Loop& loop, const sys::SocketAddress& address, const std::string& path,
                                         Duration timeout, ProbeListener& listener, std::unique_ptr<Probe>& probe) {
  sys::Connect connect = sys::connect_to(address);
  if (connect.error != 0 && connect.error != EINPROGRESS) return failed(connect.error);
  if (path.empty() && connect.error == 0) return ProbeOutcome{Kind::connected, 0, 0};

  auto made = std::make_unique<Probe>(loop, path.empty(), listener);
  if (auto opened = made->stream_.open(loop, std::move(connect.fd), *made); !opened) {
    return ProbeOutcome{Kind::broken, 0, opened.error().sys};
  }
  made->give_up_at_ = loop.now() + timeout;
  if (path.empty()) {
    made->timer_.start(kConnectLook, kConnectLook);
  } else {
    made->timer_.start(timeout);
    // A socket that is still connecting takes nothing now; the stream sends it when it may.
    int error = made->stream_.write(fmt::format(
        "GET {} HTTP/1.1\r\nHost: localhost\r\nUser-Agent: rota-probe/{}\r\nAccept: */*\r\nConnection: close\r\n\r\n",
        path, ROTA_VERSION));
    if (error != 0) return failed(error);
  }
  probe = std::move(made);
  return {};
}

Probe::Probe(uv::Loop& loop, bool connect_only, ProbeListener& listener)
    : loop_(loop), connect_only_(connect_only), listener_(listener), timer_(loop, *this) {}

void Probe::on_read(uv::Stream&, std::string_view bytes) {
  if (connect_only_) return;
  head_.append(bytes.substr(0, kProbeHeadMax - head_.size()));
  for (;;) {
    http::ResponseHeadParser parser({kProbeHeadMax, 1000, kProbeHeadMax});
    http::ResponseHead head;
    switch (parser.parse(head_, http::Method::get, head)) {
      case http::Progress::incomplete:
        if (head_.size() >= kProbeHeadMax) finish({Kind::broken, 0, 0});
        return;
      case http::Progress::rejected: finish({Kind::broken, 0, 0}); return;
      case http::Progress::complete: break;
    }
    if (head.status >= 200) {
      finish({Kind::answered, head.status, 0});
      return;
    }
    head_.erase(0, parser.consumed());  // 100, 103: the answer is still to come
  }
}

void Probe::on_end(uv::Stream&) { finish({Kind::broken, 0, 0}); }

void Probe::on_error(uv::Stream&, int error) { finish(failed(error)); }

void Probe::on_timer(uv::Timer&) {
  if (connect_only_ && sys::peer_address(stream_.fd()).size != 0) {
    finish({Kind::connected, 0, 0});
  } else if (loop_.now() >= give_up_at_) {
    finish({Kind::timeout, 0, 0});
  }
}

// The listener destroys this probe, so nothing comes after the call.
void Probe::finish(const ProbeOutcome& outcome) {
  timer_.stop();
  listener_.on_probe(outcome);
}

}  // namespace rota::supervisor
