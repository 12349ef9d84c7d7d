// Picks what this process is, by argv[0] as the keeper sets it: one of the roles, the trampoline, or the command line.
#include <fcntl.h>
#include <unistd.h>

#include <cstdio>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "rota/base/exit_code.h"
#include "rota/base/log.h"
#include "rota/base/result.h"
#include "rota/cli/cli.h"
#include "rota/ipc/keeper_protocol.h"
#include "rota/keeper/run.h"
#include "rota/proxy/proxy.h"
#include "rota/supervisor/supervisor.h"

namespace {

using rota::ExitCode;

std::vector<std::string> words_after_name(int argc, char** argv) { return {argv + 1, argv + argc}; }

// The same process under the keeper's name: what the command line left on the heap is gone, the pid stays.
int become_keeper(const std::vector<std::string>& arguments) {
  int binary = ::open("/proc/self/exe", O_PATH | O_CLOEXEC);
  std::vector<char*> argv{const_cast<char*>(rota::ipc::kKeeperName)};
  for (const std::string& word : arguments) argv.push_back(const_cast<char*>(word.c_str()));
  argv.push_back(nullptr);
  if (binary >= 0) ::execveat(binary, "", argv.data(), environ, AT_EMPTY_PATH);
  rota::log::error("cannot start: {} (is /proc mounted?)", rota::os_error("executing /proc/self/exe failed").text());
  return static_cast<int>(ExitCode::os);
}

int run_supervisor(const std::vector<std::string>& arguments) {
  auto source = rota::cli::parse_run_arguments(arguments);
  if (!source) {
    rota::log::error("supervisor: {}", source.error().text());
    return static_cast<int>(ExitCode::usage);
  }
  return rota::supervisor::run(*source);
}

}  // namespace

int main(int argc, char** argv) {
  std::string_view name = argc > 0 ? argv[0] : "";
  if (name == rota::ipc::kTrampolineName) return rota::keeper::run_trampoline(argc, argv);
  if (name == rota::ipc::kProxyName) return rota::proxy::run();
  if (name == rota::ipc::kSupervisorName) return run_supervisor(words_after_name(argc, argv));
  if (name == rota::ipc::kKeeperName) {
    rota::keeper::Options options;
    options.supervisor_arguments = words_after_name(argc, argv);
    return rota::keeper::run(options);
  }
  auto request = rota::cli::parse(argc, argv);
  if (const auto* exit = std::get_if<rota::cli::Exit>(&request)) return exit->code;
  return become_keeper(std::get<rota::cli::RunRequest>(request).arguments);
}
