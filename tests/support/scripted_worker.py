#!/usr/bin/env python3
"""A worker that does what a test tells it: how it starts by its environment, how it answers by the path of a request.

Environment (besides PORT and WORKER_ID):
  JOURNAL          a file to which every event is appended as one JSON line {"at", "event", "slot", "pid", ...}
  GATES            a folder; /gate/NAME waits until a file NAME is there
  BACKLOG=N        of the listener;  ACCEPT_GATE   accept only while this file of GATES is there
  LISTEN_GATE      listen only when this file of GATES is there;  NEVER_LISTEN=1  never
  WRONG_PORT=1     listen on some TCP port instead of PORT
  EXIT_AT_START=N  print a sentence to stderr and exit with N;  SLOTS=1,3 restricts every start behaviour to these slots
  DIE_AFTER=0.5    exit with 7 so many seconds after it began to listen
  IGNORE_TERM=1    outlive SIGTERM;  GRANDCHILD=1  fork a child that outlives us and ignores TERM
  JOURNAL_SIGNALS=1  note every signal, and survive all but TERM
  UNHEALTHY_GATE   answer 503 on /healthz while this file of GATES is there, or one named so with "-" and our pid
  HANG_GATE        answer nothing on /healthz while such a file with "-" and our pid is there
"""
import json
import os
import signal
import socket
import sys
import threading
import time
import urllib.parse

from wire import Wire, WireError

SLOT = os.environ.get("WORKER_ID", "?")
WEBSOCKET = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
PATTERN = bytes(range(256)) * 256
listener = []  # the socket, when it is open


def journal(event, **more):
    if "JOURNAL" in os.environ:
        line = json.dumps({"at": time.monotonic(), "event": event, "slot": SLOT, "pid": os.getpid(), **more}) + "\n"
        fd = os.open(os.environ["JOURNAL"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
        os.write(fd, line.encode())
        os.close(fd)


def scripted(name):
    """The value of a start behaviour, when it is meant for this slot."""
    slots = os.environ.get("SLOTS")
    return os.environ.get(name) if slots is None or SLOT in slots.split(",") else None


def gate_open(name):
    return os.path.exists(os.path.join(os.environ["GATES"], name))


def wait_gate(name):
    while not gate_open(name):
        time.sleep(0.005)


class Exchange:
    """One request and what the path makes of it. True: the connection may go on."""

    def __init__(self, wire, head):
        self.wire, self.head = wire, head
        self.method, target, self.version = head.start.split(" ")
        parts = urllib.parse.urlsplit(target)
        self.path = parts.path
        self.query = dict(urllib.parse.parse_qsl(parts.query, keep_blank_values=True))

    def number(self, name, fallback):
        return int(self.query.get(name, fallback))

    def drain(self):
        return b"".join(self.wire.body_of(self.head))

    def reply(self, body=b"", status="200 OK", fields=(), framed=True):
        lines = [f"HTTP/1.1 {status}", f"X-App: {os.environ.get('ROTA_APP', '?')}", *fields]
        if framed:
            lines.append(f"Content-Length: {len(body)}")
        self.wire.send(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + (b"" if self.method == "HEAD" else body))
        return True

    def run(self):
        if self.path != "/healthz":
            journal("request", method=self.method, path=self.path, query=self.query)
        name = "root" if self.path in ("/", "*") else self.path.split("/")[1]
        return getattr(self, "do_" + name.replace("-", "_"), self.do_unknown)()

    def do_root(self):
        self.drain()
        return self.reply(f"{SLOT} {os.getpid()}\n".encode())

    def do_unknown(self):
        self.drain()
        return self.reply(b"no such page\n", "404 Not Found")

    def do_healthz(self):
        self.drain()
        while (gate := os.environ.get("HANG_GATE")) and gate_open(f"{gate}-{os.getpid()}"):
            time.sleep(0.005)
        gate = os.environ.get("UNHEALTHY_GATE")
        sick = gate and scripted("UNHEALTHY_GATE") and (gate_open(gate) or gate_open(f"{gate}-{os.getpid()}"))
        if sick:
            journal("sick")
        return self.reply(b"sick\n" if sick else b"ok\n", "503 Service Unavailable" if sick else "200 OK")

    def do_head(self):
        """The request head as it arrived."""
        self.drain()
        return self.reply(self.head.raw)

    def do_echo(self):
        body = self.drain()
        return self.reply(body, fields=[f"X-Received: {self.head.get('transfer-encoding') or 'length'}"])

    def do_sum(self):
        """The length and SHA-256 of the body; ?slow=1 reads it with pauses on a gate after the first piece."""
        import hashlib  # here, because hundreds of workers start and few need it
        digest, count = hashlib.sha256(), 0
        for piece in self.wire.body_of(self.head):
            digest.update(piece)
            count += len(piece)
            if "gate" in self.query:
                wait_gate(self.query["gate"])
        return self.reply(f"{count} {digest.hexdigest()}".encode())

    def pattern(self, count):
        while count > 0:
            piece = PATTERN[: min(count, len(PATTERN))]
            yield piece
            count -= len(piece)

    def do_bytes(self):
        count = self.number("n", 0)
        self.drain()
        self.wire.send(f"HTTP/1.1 200 OK\r\nContent-Length: {count}\r\n\r\n".encode())
        sent = 0
        for piece in self.pattern(count):
            self.wire.send(piece)
            sent += len(piece)
        journal("sent", bytes=sent)
        return True

    def do_chunked(self):
        """?n bytes in chunks of ?size, with ?trailer=1 a trailer field, without ?end=0 properly ended."""
        left, size = self.number("n", 10), self.number("size", 4)
        self.drain()
        self.wire.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while left > 0:
            piece = PATTERN[: min(left, size, len(PATTERN))]
            self.wire.send(b"%x\r\n%s\r\n" % (len(piece), piece))
            left -= len(piece)
        if self.query.get("end") == "0":
            return False
        self.wire.send(b"0\r\nX-Trailer: yes\r\n\r\n" if "trailer" in self.query else b"0\r\n\r\n")
        return True

    def do_status(self):
        """/status/204: exactly that, without a body; ?length=N adds a Content-Length."""
        self.drain()
        fields = [f"Content-Length: {self.query['length']}"] if "length" in self.query else []
        return self.reply(status=self.path.split("/")[2] + " Told", fields=fields, framed=False)

    def do_until_close(self):
        self.drain()
        self.wire.send(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + PATTERN[: self.number("n", 10)])
        return False

    def do_http10(self):
        self.drain()
        self.wire.send(b"HTTP/1.0 200 OK\r\n\r\nold")
        return False

    def do_gate(self):
        self.drain()
        wait_gate(self.path.split("/")[2])
        journal("answering", path=self.path)  # before: once a client has the answer, anything may follow at once
        return self.reply(f"{SLOT} {os.getpid()}\n".encode())

    def do_first_half(self):
        """Half of the body, then the rest when the gate opens."""
        self.drain()
        self.wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nfirst")
        wait_gate(self.path.split("/")[2])
        self.wire.send(b"-half")
        return True

    def do_eof(self):
        """The request is read and never answered."""
        self.drain()
        return False

    def do_eof_once(self):
        """The first worker that sees it closes without an answer; every later one answers."""
        self.drain()
        try:
            os.close(os.open(os.path.join(os.environ["GATES"], self.query["name"]), os.O_CREAT | os.O_EXCL))
            return False
        except FileExistsError:
            return self.do_root()

    def do_short(self):
        self.drain()
        self.wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this")
        return False

    def do_garbage(self):
        self.drain()
        self.wire.send(b"this is no HTTP\r\n\r\n")
        return False

    def do_early(self):
        """A refusal before the body is read, and the connection closed."""
        self.reply(b"too much\n", "413 Content Too Large", ["Connection: close"])
        self.wire.sock.shutdown(socket.SHUT_WR)
        return False

    def do_continue(self):
        self.wire.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        return self.do_echo()

    def do_hints(self):
        self.drain()
        self.wire.send(b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n")
        return self.do_root()

    def do_tunnel(self):
        """A WebSocket's handshake, then every octet back."""
        import base64
        import hashlib
        accept = base64.b64encode(hashlib.sha1((self.head.get("sec-websocket-key") + WEBSOCKET).encode()).digest()).decode()
        self.wire.send(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                       b"Sec-WebSocket-Accept: %s\r\n\r\n" % accept.encode())
        while piece := self.wire.sock.recv(65536):
            self.wire.send(piece)
        return False

    def do_exit(self):
        self.drain()
        os._exit(self.number("code", 3))

    def do_kill(self):
        """/kill?signal=11 ends the process by that signal, after ?lines=N lines on stderr."""
        self.drain()
        for number in range(self.number("lines", 0)):
            print(f"line {number} before the end", file=sys.stderr, flush=True)
        os.kill(os.getpid(), self.number("signal", 9))
        signal.pause()

    def do_fill_memory(self):
        """Takes memory until somebody objects."""
        self.drain()
        taken = []
        while True:
            taken.append(bytearray(os.urandom(1 << 20)))

    def do_print(self):
        self.drain()
        stream = sys.stderr if self.query.get("to") == "stderr" else sys.stdout
        print(self.query.get("line", ""), file=stream, flush=True)
        return self.reply(b"printed\n")

    def do_environment(self):
        self.drain()
        return self.reply(json.dumps({**os.environ, "cwd": os.getcwd(), "uid": os.getuid(), "gid": os.getgid()}).encode())

    def do_close_listener(self):
        """Takes no connection from here on, and lives."""
        listener[0].shutdown(socket.SHUT_RDWR)
        listener[0].close()
        return self.do_root()

    def do_close_after(self):
        """Answers and closes without having said so."""
        self.do_root()
        return False


def serve(connection):
    wire = Wire(connection)
    try:
        while True:
            head = wire.head()
            if not Exchange(wire, head).run():
                break
    except (WireError, OSError) as error:
        journal("connection-ended", why=str(error))
    finally:
        connection.close()


def listen():
    port = os.environ.get("PORT", "3000")
    if scripted("WRONG_PORT"):
        sock = socket.create_server(("127.0.0.1", 0))
        journal("wrong-port", port=sock.getsockname()[1])
    elif port.isdigit():
        sock = socket.create_server(("127.0.0.1", int(port)), backlog=512)
    else:
        sock = socket.socket(socket.AF_UNIX)
        sock.bind(port)
        sock.listen(int(os.environ.get("BACKLOG", "512")))
    journal("listening", port=port)
    return sock


def leave_a_grandchild():
    if os.fork() == 0:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        journal("grandchild")
        while True:
            signal.pause()


def on_term(*_):
    journal("term")
    if scripted("JOURNAL_SIGNALS"):
        journal("signal", name=str(signal.SIGTERM.value))
    if not scripted("IGNORE_TERM"):
        os._exit(0)


def note_signals():
    others = {signal.SIGKILL, signal.SIGSTOP, signal.SIGTERM, signal.SIGCHLD, signal.SIGPIPE}
    for number in signal.valid_signals() - others:
        signal.signal(number, lambda n, _: journal("signal", name=str(n)))


def main():
    journal("started")
    signal.signal(signal.SIGTERM, on_term)
    if scripted("JOURNAL_SIGNALS"):
        note_signals()
    if scripted("EXIT_AT_START"):
        print("the database is not there", file=sys.stderr, flush=True)
        sys.exit(int(os.environ["EXIT_AT_START"]))
    if scripted("GRANDCHILD"):
        leave_a_grandchild()
    if scripted("LISTEN_GATE"):
        wait_gate(os.environ["LISTEN_GATE"])
    if scripted("NEVER_LISTEN"):
        while True:
            signal.pause()
    sock = listen()
    listener.append(sock)
    if scripted("DIE_AFTER"):
        print("the cache is corrupt", file=sys.stderr, flush=True)
        threading.Timer(float(os.environ["DIE_AFTER"]), os._exit, (7,)).start()
    while True:
        if "ACCEPT_GATE" in os.environ:
            wait_gate(os.environ["ACCEPT_GATE"])
        try:
            connection, _ = sock.accept()
        except OSError:  # it was closed
            signal.pause()
        threading.Thread(target=serve, args=(connection,), daemon=True).start()


if __name__ == "__main__":
    main()
