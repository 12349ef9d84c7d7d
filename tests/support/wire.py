"""HTTP/1.1 on a socket, read strictly and without mercy: what the tests' client and their scripted worker share.
Whatever is not exactly a message raises WireError with the bytes that were wrong."""
import socket


class WireError(Exception):
    pass


class Closed(WireError):
    """The peer closed; `partial` is what had come of the thing that was awaited."""

    def __init__(self, awaited, partial):
        super().__init__(f"closed while {awaited} was awaited; had {bytes(partial[:200])!r}")
        self.partial = bytes(partial)


class Head:
    """A start line and its fields. Names are lower case, values as they came without the blanks around them."""

    def __init__(self, raw):
        self.raw = raw
        lines = raw.decode("latin-1").split("\r\n")
        self.start = lines[0]
        self.fields = []
        for line in lines[1:]:
            name, colon, value = line.partition(":")
            if not colon or not name or name != name.strip():
                raise WireError(f"not a field: {line!r}")
            self.fields.append((name.lower(), value.strip(" \t")))

    def all(self, name):
        return [v for n, v in self.fields if n == name]

    def get(self, name, default=None):
        values = self.all(name)
        if len(values) > 1 and name in ("content-length", "transfer-encoding", "host"):
            raise WireError(f"{name} more than once: {values}")
        return values[0] if values else default

    def tokens(self, name):
        return [t.strip().lower() for v in self.all(name) for t in v.split(",") if t.strip()]


class Wire:
    """Buffered reading from a socket; writing is sendall."""

    PIECE = 256 * 1024

    def __init__(self, sock):
        self.sock = sock
        self.held = bytearray()

    def send(self, data):
        self.sock.sendall(data)

    def close(self):
        self.sock.close()

    def _receive(self, awaited):
        data = self.sock.recv(self.PIECE)
        if not data:
            raise Closed(awaited, self.held)
        self.held += data

    def until(self, end, awaited, limit=1 << 20):
        while (at := self.held.find(end)) < 0:
            if len(self.held) > limit:
                raise WireError(f"{awaited}: no end in {limit} bytes")
            self._receive(awaited)
        taken = bytes(self.held[:at])
        del self.held[: at + len(end)]
        return taken

    def head(self):
        return Head(self.until(b"\r\n\r\n", "a head"))

    def exactly(self, count, awaited="a body"):
        """Yields pieces that are `count` bytes together."""
        while count > 0:
            if not self.held:
                self._receive(awaited)
            piece = bytes(self.held[:count])
            del self.held[: len(piece)]
            count -= len(piece)
            yield piece

    def chunked(self):
        """Yields the pieces of a chunked body; trailers, when there are any, are left in self.trailers."""
        while True:
            line = self.until(b"\r\n", "a chunk's size")
            digits = line.split(b";")[0]
            if not digits or not all(c in b"0123456789abcdefABCDEF" for c in digits):
                raise WireError(f"not a chunk's size: {line!r}")
            size = int(digits, 16)
            if size == 0:
                break
            yield from self.exactly(size, "a chunk")
            if self.until(b"\r\n", "a chunk's end") != b"":
                raise WireError("a chunk is longer than it said")
        self.trailers = []
        while line := self.until(b"\r\n", "a trailer"):
            self.trailers.append(line)

    def to_close(self):
        piece = bytes(self.held)
        self.held.clear()
        while piece:
            yield piece
            piece = self.sock.recv(self.PIECE)
        while piece := self.sock.recv(self.PIECE):
            yield piece

    def body_of(self, head, is_response_to=None):
        """The pieces of the body that belongs to a head; `is_response_to` is the request's method for a response."""
        if is_response_to is not None:
            status = int(head.start.split(" ")[1])
            if is_response_to == "HEAD" or status in (204, 304) or status < 200:
                return iter(())
        coding, length = head.get("transfer-encoding"), head.get("content-length")
        if coding is not None and length is not None:
            raise WireError("both Transfer-Encoding and Content-Length")
        if coding is not None:
            if coding.lower() != "chunked":
                raise WireError(f"Transfer-Encoding {coding!r}")
            return self.chunked()
        if length is not None:
            return self.exactly(int(length))
        return self.to_close() if is_response_to is not None else iter(())


class Response:
    def __init__(self, head, body):
        self.head, self.body = head, body
        version, status, self.reason = (head.start + "  ").split(" ", 2)
        self.version, self.status, self.reason = version, int(status), self.reason.strip()

    def get(self, name, default=None):
        return self.head.get(name, default)

    @property
    def text(self):
        return self.body.decode("utf-8", "replace")

    def __repr__(self):
        return f"<{self.head.start!r} {len(self.body)} bytes {self.body[:80]!r}>"


class Client(Wire):
    """A client connection that sends what it is told and reads responses one by one."""

    def __init__(self, address, timeout=20.0):
        if isinstance(address, str):
            sock = socket.socket(socket.AF_UNIX)
            sock.settimeout(timeout)
            sock.connect(address)
        else:
            sock = socket.create_connection(address, timeout)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        super().__init__(sock)
        self.interim = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def response_head(self):
        """The next final head; 1xx ones before it are collected in self.interim."""
        while True:
            head = self.head()
            if not head.start.startswith("HTTP/1.1 1"):
                return head
            self.interim.append(head)

    def response(self, method="GET"):
        head = self.response_head()
        return Response(head, b"".join(self.body_of(head, method)))

    def request(self, method, target="/", fields=(), body=b"", host="test.example"):
        lines = [f"{method} {target} HTTP/1.1", f"Host: {host}", *fields]
        if body:
            lines.append(f"Content-Length: {len(body)}")
        self.send(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + body)
        return self.response(method)

    def get(self, target="/", *fields):
        return self.request("GET", target, fields)

    def at_end(self):
        """True when the peer closes without another byte (waits for it)."""
        if self.held:
            return False
        try:
            return self.sock.recv(1) == b""
        except ConnectionResetError:
            return True
