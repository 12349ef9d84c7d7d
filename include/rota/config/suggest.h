// "Did you mean": the nearest of some known words, or none when nothing is near.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace rota::config {

// Insertions, deletions, replacements and swaps of neighbours (optimal string alignment), capitals ignored.
std::size_t edit_distance(std::string_view a, std::string_view b);

// The nearest of `known` within a third of the word's length (at least 1 edit); the first of several. Empty: nothing is
// near.
std::string_view nearest(std::string_view word, const std::vector<std::string_view>& known);

// `; did you mean "x"?`, or nothing.
std::string did_you_mean(std::string_view word, const std::vector<std::string_view>& known);

}  // namespace rota::config
