#include "problems.h"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>

namespace rota::config {
namespace {

// A message quotes what it found with in_quotes(); should one forget to, it stays a line all the same.
std::string one_line(std::string message) {
  for (char& c : message) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) c = '?';
  }
  return message;
}

}  // namespace

void Problems::add(Span span, std::string message, Problem::Kind kind, std::string_view more) {
  if (list_.size() == kProblemsMax) {
    ++unlisted_;  // before the work of showing it
    return;
  }
  message = one_line(std::move(message));
  Problem problem;
  problem.kind = kind;
  problem.place = text_.place(span);
  if (span.line > 0) {
    problem.shown = fmt::format("{}:{}:{}: {}\n{}{}", file_, problem.place.line, problem.place.column, message,
                                text_.excerpt(span), more);
  } else if (!file_.empty()) {
    problem.shown = fmt::format("{}: {}\n{}", file_, message, more);
  } else {
    problem.shown = fmt::format("{}\n{}", message, more);
  }
  problem.shown.pop_back();  // the last line feed is the printer's
  problem.message = std::move(message);
  keep(std::move(problem));
}

void Problems::add_elsewhere(Span at, std::string_view path, const Text& text, Span span, std::string message) {
  std::string_view beside = path.substr(0, 1) == "/" ? "" : file_.substr(0, file_.rfind('/') + 1);
  Place place = text.place(span);
  Problem problem;
  problem.place = text_.place(at);
  problem.message = one_line(fmt::format("{}{}:{}:{}: {}", beside, path, place.line, place.column, message));
  problem.shown = fmt::format("{}\n{}", problem.message, text.excerpt(span));
  problem.shown.pop_back();
  keep(std::move(problem));
}

void Problems::add_option(std::string message) {
  message = one_line(std::move(message));
  Problem problem;
  problem.shown = message;
  problem.message = std::move(message);
  keep(std::move(problem));
}

void Problems::keep(Problem problem) {
  if (list_.size() == kProblemsMax) {
    ++unlisted_;
  } else {
    list_.push_back(std::move(problem));
  }
}

std::vector<Problem> Problems::take() {
  auto key = [](const Problem& problem) {
    return std::tuple(problem.place.line == 0, problem.place.line, problem.place.column);
  };
  std::stable_sort(list_.begin(), list_.end(), [&](const Problem& a, const Problem& b) { return key(a) < key(b); });
  if (unlisted_ > 0) {
    Problem rest;
    rest.message = fmt::format("and {} more", unlisted_);
    rest.shown = rest.message;
    list_.push_back(std::move(rest));
  }
  return std::move(list_);
}

}  // namespace rota::config
