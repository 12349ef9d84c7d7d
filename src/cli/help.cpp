#include "help.h"

namespace rota::cli {

const char* const kHelp =
    R"(rota runs N workers of any HTTP app and spreads every request over them.

Usage: rota COMMAND [ARGUMENTS]

Commands:
  run       start an app: rota run -c rota.yaml, or rota run -- node server.js
  check     read a configuration and name every mistake in it
  probe     ask an address over HTTP whether something serves there
  version   print the version

rota COMMAND --help says more about one of them.
)";

const char* const kRunForms =
    R"(    rota run -c rota.yaml          as the file says
    rota run -- node server.js     one app, no file: workers for every CPU, on 127.0.0.1:8080
)";

const char* const kSignalForms =
    R"(    systemctl reload rota                    as a service: also status, restart, stop
    kill -HUP $(head -n 1 /run/rota/lock)    otherwise: HUP reloads, TERM stops (lock: in its runtime_dir)
)";

const char* const kRunHelp =
    R"(Start workers and serve requests until TERM or Ctrl-C.

Usage:
  rota run -c FILE [OPTIONS]
  rota run [OPTIONS] -- COMMAND [ARGUMENTS...]

The command is started once for each worker, with the path of a Unix socket in the environment variable PORT. A program that
listens on PORT needs no change; for others, {socket} in an argument is replaced by that path:
  rota run -- gunicorn -b unix:{socket} app:app

Options:
  -c, --config FILE    the configuration; with it there is no command
  --listen ADDRESS     where clients connect, in place of the file's: 8080 (all addresses), 127.0.0.1:8080, [::1]:8080,
                       unix:/run/app.sock; without a file 127.0.0.1:8080
  --workers N          how many workers, in place of the file's; without a file one for each CPU that may be used
  --runtime-dir DIR    where sockets and the lock are: $RUNTIME_DIRECTORY, else /run/rota (root), $XDG_RUNTIME_DIR/rota or
                       /tmp/rota-UID
  -h, --help           this text

Signals: TERM, INT stop after the requests in flight; a second one skips the wait, a third kills; QUIT is quick. HUP reads
the file again, USR1 opens log files again.
Exit codes: 0 clean, 1 failed, or killed by a third TERM, 2 usage, 69 no app became ready (without a file, or boot: fail), 70 internal, 71 system, 73 cannot bind or
create, 75 already running, 77 not permitted, 78 configuration.
)";

const char* const kCheckHelp =
    R"(Read a configuration and name every mistake in it, with its place. Starts and changes nothing.

Usage: rota check [OPTIONS] FILE

Programs, directories and users that the file names are looked up on this machine.

Options:
  --schema      print a JSON Schema of the file instead, for editors; takes no file
  -h, --help    this text

Exit codes: 0 it is good, 78 it is not, 77 it is, but for another user.
)";

const char* const kProbeHelp =
    R"(Ask an address over HTTP whether something serves there: the health check of a container without curl.

Usage: rota probe [OPTIONS] ADDRESS [PATH]

The address is written as for `listen`: 8080, 127.0.0.1:8080, [::1]:8080, unix:/run/app.sock. The path is / if it is left out.

Options:
  --host NAME       the Host field, where routes want one
  --timeout TIME    for everything; 3s
  --proxy-protocol  send a header of the PROXY protocol first, for a listener that wants one; trusted_proxies must have
                    the address that is asked from, 127.0.0.1 say
  -h, --help        this text

Exit codes: 0 it answered with a status below 500, 1 it did not (503: rota runs, but no worker is ready), 2 usage.
)";

}  // namespace rota::cli
