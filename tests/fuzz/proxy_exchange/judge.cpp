#include "judge.h"

#include <algorithm>
#include <cstdio>
#include <deque>

#include "reader.h"
#include "rota/base/check.h"
#include "rota/http/request_head.h"

namespace rota::fuzz {

namespace {

// A request as the client's own octets have it.
struct Asked {
  std::string method;
  std::string target;
  std::string host;
  int minor = 1;
  bool trailers_wanted = false;
  std::vector<http::Field> fields;
  Framing framing;
  Body body;
  bool whole = false;
  std::size_t head_end = 0;  // in what the client sent
};

struct AskedAll {
  std::vector<Asked> requests;
  bool more = false;  // behind them stands something that is no whole request head
};

// One try of a request on one connection.
struct Attempt {
  const WorkerConnection* worker = nullptr;
  bool read_whole = false;
  Response answer;
  std::size_t answer_begin = 0;  // in what the worker sent
};

class Judge {
 public:
  Judge(const World& world, std::string_view input)
      : world_(world), input_(input), attempts_(world.requests.size() + 1) {}

  void run() {
    for (const Client& client : world_.clients) asked_.push_back(asked_by(client));
    for (const WorkerConnection& worker : world_.workers) judge_worker(worker);
    for (std::size_t i = 1; i < attempts_.size(); i++) judge_attempts(i);
    for (std::size_t i = 0; i < world_.clients.size(); i++) judge_client(i);
  }

 private:
  static AskedAll asked_by(const Client& client);
  void judge_worker(const WorkerConnection& worker);
  void judge_request(const Head& head, const Framing& framing, const Body& body, bool whole, unsigned number);
  Attempt answer_of(const WorkerConnection& worker, std::size_t begin, std::string_view method) const;
  void judge_attempts(std::size_t number);
  void judge_client(std::size_t which);
  void judge_silence(std::size_t which, std::size_t from);
  void judge_page(const Response& page);
  void judge_reply(const Response& reply, std::size_t which, std::size_t nth, std::string_view behind,
                   bool looks_whole);
  const char* differs(const Response& reply, const Attempt& attempt, const Asked& asked, std::size_t which,
                      std::string_view behind, bool looks_whole) const;
  bool end_counts(const Attempt& attempt) const;
  const Asked* asked_for(unsigned number) const;
  void judge_tunnel(std::string_view got, std::string_view said) { hold(said.starts_with(got), "a tunnel's octets"); }

  void hold(bool right, const char* what) const {
    if (right) return;
    print(what);
    ROTA_CHECK(right);
  }
  void print(const char* what) const;

  const World& world_;
  std::string_view input_;
  std::vector<AskedAll> asked_;                 // by client
  std::vector<std::vector<Attempt>> attempts_;  // by request number
  std::deque<std::string> came_;                // that readings point into
};

// Long ones in the middle of which nothing but bulk is expected.
void print_octets(const char* who, std::size_t which, std::string_view octets) {
  std::fprintf(stderr, "--- %s %zu, %zu octets:\n", who, which, octets.size());
  constexpr std::size_t kShown = 3000;
  const std::string_view first = octets.substr(0, kShown);
  std::fwrite(first.data(), 1, first.size(), stderr);
  if (octets.size() <= kShown) return;
  const std::string_view last = octets.substr(std::max(kShown, octets.size() - 300));
  std::fprintf(stderr, "\n... and at the end:\n%.*s", static_cast<int>(last.size()), last.data());
}

void Judge::print(const char* what) const {
  std::fprintf(stderr, "\n=== wrong: %s\n=== orders: %.*s\n", what, static_cast<int>(input_.find('\n')), input_.data());
  for (std::size_t i = 0; i < world_.clients.size(); i++) {
    const Client& one = world_.clients[i];
    print_octets("client sent", i, one.sent);
    print_octets(one.failed  ? "client got, and an error,"
                 : one.ended ? "client got, and the end,"
                             : "client got",
                 i, one.got);
  }
  for (std::size_t i = 0; i < world_.workers.size(); i++) {
    const WorkerConnection& one = world_.workers[i];
    print_octets("worker got", i, one.got);
    print_octets(one.reset_step != Peer::kNever ? "worker sent, and a reset," : "worker sent", i, one.sent);
    for (const auto& [octet, step] : one.marks) std::fprintf(stderr, "[from %zu in step %u]", octet, step);
  }
  std::fprintf(stderr, "\n===\n");
}

AskedAll Judge::asked_by(const Client& client) {
  AskedAll all;
  std::string_view rest = client.sent;
  while (true) {
    http::RequestHeadParser parser({.bytes = 1 << 20, .fields = 1000, .target = 1 << 20, .any_method = true});
    http::RequestHead head;
    const http::Progress progress = parser.parse(rest, head);
    if (progress != http::Progress::complete) {
      all.more = progress == http::Progress::rejected || !parser.untouched();
      return all;
    }
    rest.remove_prefix(parser.consumed());
    Asked one;
    one.method = head.method_text;
    one.target = head.target;
    one.host = head.host;
    one.minor = head.version_minor;
    one.trailers_wanted = head.te_trailers;
    one.fields = head.fields;
    one.head_end = client.sent.size() - rest.size();
    if (head.framing.kind == http::BodyKind::chunked) one.framing = {Length::chunked, 0};
    if (head.framing.kind == http::BodyKind::length) one.framing = {Length::counted, head.framing.length};
    one.whole = read_body(rest, one.framing, Manner::theirs, one.body) == Verdict::whole;
    rest.remove_prefix(one.body.size);
    all.requests.push_back(std::move(one));
    if (!all.requests.back().whole) return all;
  }
}

const Asked* Judge::asked_for(unsigned number) const {
  const RoutedRequest& request = world_.requests[number - 1];
  const std::vector<unsigned>& numbers = world_.clients[request.client].requests;
  const auto nth = static_cast<std::size_t>(std::find(numbers.begin(), numbers.end(), number) - numbers.begin());
  const std::vector<Asked>& all = asked_[request.client].requests;
  return nth < all.size() ? &all[nth] : nullptr;
}

// --- what workers get

void Judge::judge_worker(const WorkerConnection& worker) {
  // What it has not read counts as sent to it, and not as executed.
  const std::string& all = came_.emplace_back(worker.got + worker.left);
  std::string_view got = all;
  std::size_t answered = 0;  // octets of answers to earlier requests
  while (!got.empty()) {
    Head head;
    const Verdict read = read_head(got, Manner::ours, head);
    hold(read != Verdict::broken, "a request head that is not by the letter");
    if (read == Verdict::unfinished) return;
    Framing framing;
    hold(read_framing(head, 1, framing), "a request's framing");
    Body body;
    const Verdict whole = read_body(got.substr(head.size), framing, Manner::ours, body);
    hold(whole != Verdict::broken, "a request body that is not by the letter");
    const std::string_view digits = head.value("x-forwarded-port");
    const std::uint64_t number = is_digits(digits) ? fuzz::number(digits) : 0;
    hold(number > 0 && number <= world_.requests.size(), "a request that nobody has routed");
    judge_request(head, framing, body, whole == Verdict::whole, static_cast<unsigned>(number));

    Attempt attempt = answer_of(worker, answered, head.start.substr(0, head.start.find(' ')));
    got.remove_prefix(head.size + body.size);
    const bool is_whole = whole == Verdict::whole;
    attempt.read_whole = is_whole && all.size() - got.size() <= worker.got.size();
    answered += attempt.answer.size;
    const Response& answer = attempt.answer;
    if (answer.status == 101 && answer.verdict == Verdict::whole && is_whole) {
      const Client& client = world_.clients[world_.requests[number - 1].client];
      judge_tunnel(got, std::string_view(client.sent).substr(asked_for(static_cast<unsigned>(number))->head_end));
      got = {};
    }
    hold(got.empty() || is_whole, "octets behind a request that is not whole");
    hold(got.empty() || (answer.verdict == Verdict::whole && answer.keeps_alive),
         "a second request before the first had its answer, or after an end was announced");
    attempts_[number].push_back(std::move(attempt));
  }
}

bool is_forwarding(std::string_view name) {
  constexpr std::string_view kNames[] = {
      "host", "x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "x-forwarded-port",
      "via",  "x-real-ip",       "forwarded",         "x-request-id"};
  return std::any_of(std::begin(kNames), std::end(kNames), [&](std::string_view one) { return same(name, one); });
}

void Judge::judge_request(const Head& head, const Framing& framing, const Body& body, bool whole, unsigned number) {
  const Asked* asked = asked_for(number);
  hold(asked != nullptr && !world_.requests[number - 1].refused, "a request that no worker was to get");
  hold(head.start == asked->method + " " + asked->target + " HTTP/1.1", "a request line");
  hold(head.count("host") == 1 && head.value("host") == asked->host, "a request's Host");
  for (const Line& line : head.lines) {
    const bool theirs = std::any_of(asked->fields.begin(), asked->fields.end(), [&](const http::Field& field) {
      return field.name == line.name && field.value == line.value;
    });
    if (theirs || is_forwarding(line.name) || same(line.name, "max-forwards")) continue;
    // close, behind a body that many a worker would leave unread.
    const bool of_connection =
        line.value == "upgrade" || line.value == "TE" || line.value == "close" || line.value == "close, TE";
    const bool of_this_hop = (same(line.name, "connection") && of_connection) ||
                             (same(line.name, "te") && line.value == "trailers") ||
                             (same(line.name, "upgrade") && line.value == "websocket") ||
                             (same(line.name, "expect") && line.value == "100-continue") ||
                             same(line.name, "content-length") || same(line.name, "transfer-encoding");
    hold(of_this_hop, "a field that neither the client nor rota has written");
  }
  hold(head.count("connection") <= 1 && head.count("keep-alive") == 0 && head.count("proxy-connection") == 0,
       "a field that was meant for another hop");
  const bool same_framing = framing.length == asked->framing.length && framing.octets == asked->framing.octets;
  hold(same_framing || (framing.octets == 0 && asked->framing.length == Length::none), "a request's framing, changed");
  hold(asked->body.content.starts_with(body.content), "a body that is not the client's");
  hold(!whole || (asked->whole && body.content.size() == asked->body.content.size()), "a body that ends too early");
  for (const Line& line : body.trailers) {
    const auto& all = asked->body.trailers;
    hold(std::any_of(all.begin(), all.end(),
                     [&](const Line& one) { return one.name == line.name && one.value == line.value; }),
         "a trailer that is not the client's");
  }
}

Attempt Judge::answer_of(const WorkerConnection& worker, std::size_t begin, std::string_view method) const {
  Attempt attempt;
  attempt.worker = &worker;
  attempt.answer_begin = begin;
  attempt.answer = read_response(std::string_view(worker.sent).substr(begin), method, Manner::theirs);
  Response& answer = attempt.answer;
  if (answer.verdict == Verdict::unfinished && answer.status != 0 && answer.framing.length == Length::until_close &&
      end_counts(attempt))
    answer.verdict = Verdict::whole;
  return attempt;
}

// A worker's end of a body that nothing else delimits: its FIN, and no reset; announced, or on TCP, where a process
// that dies with its answer unsent resets.
bool Judge::end_counts(const Attempt& attempt) const {
  const WorkerConnection& worker = *attempt.worker;
  if (worker.fin_step == Peer::kNever || worker.reset_step < worker.fin_step) return false;
  const Response& answer = attempt.answer;
  const bool kept = answer.head.count("connection") > 0 && has_option(answer.head.value("connection"), "keep-alive");
  bool announced = answer.minor == 0 && !kept;
  for (const Line& line : answer.head.lines) {
    announced = announced || (same(line.name, "connection") && has_option(line.value, "close"));
  }
  return announced || worker.tcp;
}

void Judge::judge_attempts(std::size_t number) {
  const std::vector<Attempt>& all = attempts_[number];
  const auto wholly = static_cast<std::size_t>(
      std::count_if(all.begin(), all.end(), [](const Attempt& one) { return one.read_whole; }));
  const std::string& method = world_.requests[number - 1].method;
  const bool idempotent = method == "GET" || method == "HEAD" || method == "OPTIONS";
  hold(wholly <= 1 + (idempotent ? World::kRetries : 0), "a request that was executed too often");
}

// --- what clients get

void Judge::judge_client(std::size_t which) {
  const Client& client = world_.clients[which];
  const AskedAll& all = asked_[which];
  const std::string& came = came_.emplace_back(client.got + client.left);
  std::string_view got = came;
  const std::size_t most = all.requests.size() + (all.more ? 1 : 0);
  if (got.empty()) judge_silence(which, 0);
  for (std::size_t nth = 0; !got.empty(); nth++) {
    hold(nth < most, "more responses than requests");
    const Asked* asked = nth < all.requests.size() ? &all.requests[nth] : nullptr;
    Response reply = read_response(got, asked != nullptr ? std::string_view(asked->method) : "", Manner::ours);
    // Of a request that was refused before it was understood rota does not know that it was a HEAD.
    if (nth >= client.requests.size() && reply.size < got.size()) reply = read_response(got, "", Manner::ours);
    hold(reply.verdict != Verdict::broken, "a response that is not by the letter");
    hold(reply.interims.empty() || (asked != nullptr && asked->minor > 0), "an interim response to nobody");
    for (const Head& head : reply.interims) {
      hold(head.count("content-length") + head.count("transfer-encoding") == 0, "an interim response with framing");
    }
    if (reply.status == 0) return hold(reply.verdict == Verdict::unfinished, "half a head");
    const bool until_close = reply.framing.length == Length::until_close && !reply.bodiless;
    hold(!until_close || (asked != nullptr && asked->minor == 0), "a body without a length to a 1.1 client");
    hold(reply.framing.length != Length::chunked || asked == nullptr || asked->minor > 0, "chunks to a 1.0 client");
    hold(reply.status != 204 || reply.framing.length == Length::none, "a 204 with framing");
    hold(asked == nullptr || asked->minor > 0 || !reply.keeps_alive ||
             has_option(reply.head.value("connection"), "keep-alive"),
         "a 1.0 client that is kept without a word");
    const std::string_view via = reply.head.value("via");
    // Over a Unix socket nobody can be shown a reset: there an end proves nothing.
    const bool looks_whole =
        reply.verdict == Verdict::whole || (until_close && client.tcp && client.ended && !client.failed);
    const bool from_worker = !reply.head.lines.empty() && reply.status != 101 ? !via.empty() : true;
    if (from_worker) {
      judge_reply(reply, which, nth, got.substr(reply.size), looks_whole);
    } else {
      judge_page(reply);
    }
    if (reply.status == 101) return;
    if (got.size() == reply.size) judge_silence(which, nth + 1);
    got.remove_prefix(reply.size);
    hold(got.empty() || (reply.verdict == Verdict::whole && reply.keeps_alive), "octets behind the last response");
    hold(got.empty() || asked == nullptr || asked->whole, "a response behind a request that is not whole");
  }
}

// Requests from this one on have had no reply.
void Judge::judge_silence(std::size_t which, std::size_t from) {
  const std::vector<unsigned>& numbers = world_.clients[which].requests;
  for (std::size_t nth = from; world_.calm && nth < numbers.size(); nth++) {
    hold(!world_.requests[numbers[nth] - 1].refused, "a refusal that was lost");
    const unsigned asked_in = world_.clients[which].step_of(asked_[which].requests[nth].head_end - 1);
    for (const Attempt& attempt : attempts_[numbers[nth]]) {
      const unsigned answered_in = attempt.worker->step_of(attempt.answer_begin + attempt.answer.begin);
      hold(attempt.answer.verdict != Verdict::whole || answered_in < asked_in, "an answer that was lost");
    }
  }
}

void Judge::judge_page(const Response& page) {
  constexpr std::string_view kNames[] = {"date",        "content-type", "content-length",
                                         "retry-after", "allow",        "connection"};
  for (const Line& line : page.head.lines) {
    hold(std::any_of(std::begin(kNames), std::end(kNames), [&](std::string_view one) { return same(line.name, one); }),
         "a page with a field that is not rota's");
  }
  hold(page.framing.length == Length::counted, "a page without a length");
  hold(page.status >= 400 || page.status == 200, "a page with an odd status");
  const std::string status = std::to_string(page.status);
  const std::string& text = page.body.content;
  hold(text.starts_with(status.substr(0, text.size())) || text.starts_with("{"), "a page with a foreign text");
}

void Judge::judge_reply(const Response& reply, std::size_t which, std::size_t nth, std::string_view behind,
                        bool looks_whole) {
  const Client& client = world_.clients[which];
  hold(nth < client.requests.size() && nth < asked_[which].requests.size(), "a worker's answer to no request");
  const Asked& asked = asked_[which].requests[nth];
  const char* why = "an answer to a request that no worker has had";
  for (const Attempt& attempt : attempts_[client.requests[nth]]) {
    why = differs(reply, attempt, asked, which, behind, looks_whole);
    if (why == nullptr) return;
  }
  hold(false, why);
}

bool written_by(const std::vector<Line>& lines, const Line& line) {
  return std::any_of(lines.begin(), lines.end(),
                     [&](const Line& one) { return one.name == line.name && one.value == line.value; });
}

// What of the reply cannot come from this answer; null: nothing.
const char* Judge::differs(const Response& reply, const Attempt& attempt, const Asked& asked, std::size_t which,
                           std::string_view behind, bool looks_whole) const {
  constexpr std::string_view kOwn[] = {"date", "via", "content-length", "transfer-encoding", "connection", "upgrade"};
  const Response& answer = attempt.answer;
  const Client& client = world_.clients[which];
  if (answer.status != reply.status) return "a status that the worker has not sent";
  if (reply.interims.size() > answer.interims.size()) return "an interim response that the worker has not sent";
  const unsigned asked_in = client.step_of(asked.head_end - 1);
  if (attempt.worker->step_of(attempt.answer_begin + answer.begin) < asked_in)
    return "an answer older than its request";
  for (const Line& line : reply.head.lines) {
    const bool own = std::any_of(std::begin(kOwn), std::end(kOwn), [&](auto one) { return same(line.name, one); });
    if (!own && !written_by(answer.head.lines, line)) return "a field that the worker has not sent";
  }
  if (reply.status == 101) {
    const std::size_t from = attempt.answer_begin + answer.begin + answer.head.size;
    return std::string_view(attempt.worker->sent).substr(from).starts_with(behind)
               ? nullptr
               : "a tunnel's octets that the worker has not sent";
  }
  if (reply.framing.length == Length::counted && reply.framing.octets != answer.framing.octets) return "a length";
  if (!answer.body.content.starts_with(reply.body.content)) return "a body that the worker has not sent";
  for (const Line& line : reply.body.trailers) {
    if (!asked.trailers_wanted || !written_by(answer.body.trailers, line)) return "a trailer";
  }
  if (!looks_whole) return nullptr;
  if (answer.verdict != Verdict::whole) return "a response that looks whole, of which the worker's was not";
  return reply.body.content.size() == answer.body.content.size() ? nullptr : "a response that ends too early";
}

}  // namespace

void judge(const World& world, std::string_view input) { Judge(world, input).run(); }

}  // namespace rota::fuzz
