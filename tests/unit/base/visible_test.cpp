#include "rota/base/visible.h"

#include <catch2/catch_test_macros.hpp>

TEST_CASE("what clients sent cannot forge a line or move a cursor") {
  CHECK(rota::visible("/a b\x1b[2J\n\xc2\x9b\xff~") == "/a\\x20b\\x1b[2J\\x0a\\xc2\\x9b\\xff~");
}
