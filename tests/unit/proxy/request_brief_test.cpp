#include "rota/proxy/request_brief.h"

#include <catch2/catch_test_macros.hpp>

#include "rota/proxy/lost_requests.h"

using namespace rota;
using namespace rota::proxy;

namespace {

ipc::RequestInFlight request(std::string method, std::string path, std::string id) {
  ipc::RequestInFlight made;
  made.method = std::move(method);
  made.path = std::move(path);
  made.request_id = std::move(id);
  return made;
}

}  // namespace

TEST_CASE("a brief tells what a crash report says of a request") {
  RequestIds ids;
  std::vector<ipc::RequestInFlight> requests;
  for (const char* method : {"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "PROPFIND"}) {
    requests.push_back(request(method, "/upload", std::string(ids.next())));
    requests.push_back(request(method, "/", "an-id.of:the/client"));
    requests.push_back(request(method, "*", ""));
  }
  requests.push_back(request(std::string(ipc::kMethodMax, 'M'), "/long", std::string(ipc::kRequestIdMax, 'i')));
  requests.push_back(request("GET", std::string(ipc::kPathMax, 'p'), std::string(ids.next())));
  requests.back().path_cut = true;
  for (const ipc::RequestInFlight& one : requests) {
    const HeldBytes brief = brief_of(one, http::method_of(one.method), ids);
    CHECK(read_brief(brief.view(), ids) == one);
  }
}

TEST_CASE("a brief of a request with an id of ours is its path and nine octets") {
  RequestIds ids;
  const HeldBytes brief = brief_of(request("POST", "/upload", std::string(ids.next())), http::Method::post, ids);
  CHECK(brief.size() == 9 + 7);
  CHECK(brief.capacity() == brief.size());
}

TEST_CASE("an id is one of ours only when it would be written so") {
  RequestIds ids, others;
  const std::string own(ids.next());
  REQUIRE(ids.number_of(own));
  CHECK(ids.text_of(*ids.number_of(own)) == own);
  CHECK_FALSE(others.number_of(own));
  CHECK_FALSE(ids.number_of(""));
  CHECK_FALSE(ids.number_of(own.substr(1)));
  std::string other = own;
  other[20] = 'A';
  CHECK_FALSE(ids.number_of(other));
}
