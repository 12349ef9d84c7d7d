"""Raw HTTP cases against a proxy: what a client sends or a worker answers, octet for octet, and which outcomes are allowed.

A case is an object of tests/corpus/http-cases*.json: {"id", "family", "raw", "expect", ...}; its octets are `raw` in latin-1
after `expand`. `expect` lists the first status lines that are allowed, "close" (the end without an octet of response) or
"timeout" (open and silent); `prefer` is the one that rota chooses. With "side": "backend" the octets are the worker's answer.
The other keys are those that check() looks at.

Lane plays both ends of one upstream: it is the scripted worker on a Unix socket and the client. Lanes are independent, so
that many run beside each other.
"""
import asyncio
import json
import os
import re
import time

SETTLE = 0.2     # how long a wrong late octet may take
PATIENCE = 3.0   # for the first octet of a response
NEXT = b"GET /next HTTP/1.1\r\nHost: t.example\r\nConnection: close\r\n\r\n"
PLAIN = "GET / HTTP/1.1\r\nHost: t.example\r\n\r\n"


def octets(case):
    raw = case["raw"]
    for placeholder, (text, count) in case.get("expand", {}).items():
        raw = raw.replace(placeholder, text * count)
    return raw.encode("latin-1")


class Message:
    """A request as the worker got it."""

    def __init__(self, raw):
        self.head, self.body, self.complete = raw, b"", False
        lines = raw.decode("latin-1").split("\r\n")
        self.method, self.target, self.version = (lines[0].split(" ", 2) + ["", "", ""])[:3]
        pairs = (line.split(":", 1) for line in lines[1:] if ":" in line)
        self.fields = [(name.lower(), value.strip(" \t")) for name, value in pairs]

    def get(self, name):
        return [v for n, v in self.fields if n == name]


class Worker:
    """Records what the proxy sends. Answers 200, or once with the octets of a worker-side case."""

    def __init__(self):
        self.begin(None)

    def begin(self, case):
        self.case, self.messages, self.received, self.told = case, [], b"", False

    def is_scripted(self):
        return self.case is not None and self.case.get("side") == "backend" and not self.told

    async def serve(self, reader, writer):
        try:
            if self.is_scripted() and self.case.get("when") == "on_connect":
                await self.tell(writer)
            while await self.exchange(reader, writer):
                pass
        except asyncio.IncompleteReadError as error:
            self.received += error.partial
        except (ConnectionError, asyncio.LimitOverrunError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    async def tell(self, writer):
        self.told = True
        writer.write(octets(self.case))
        await writer.drain()

    async def exchange(self, reader, writer):
        head = await reader.readuntil(b"\r\n\r\n")
        self.received += head
        message = Message(head[:-4])
        self.messages.append(message)
        if "100-continue" in " ".join(message.get("expect")).lower():
            writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        scripted = self.is_scripted()
        if not (scripted and self.case["id"].startswith("rs-early")):
            await self.read_body(reader, message)
        if scripted:
            await self.tell(writer)
            return await self.after(writer)
        body = b"x" * (8 << 20) if message.target.startswith("/big") else b"ok"
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body))
        if message.method != "HEAD":
            writer.write(body)
        await writer.drain()
        return "close" not in " ".join(message.get("connection")).lower()

    async def after(self, writer):
        then = self.case.get("then")
        if then == "rst":
            writer.transport.abort()
        elif then == "hang":
            await asyncio.sleep(60)
        elif then == "drip":
            for _ in range(30):
                writer.write(b"x")
                await asyncio.sleep(1)
        elif then == "send_unsolicited":
            await asyncio.sleep(0.1)
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nPOISON")
        return then in (None, "send_unsolicited")

    async def read_body(self, reader, message):
        if message.get("transfer-encoding"):
            return await self.read_chunked(reader, message)
        length = message.get("content-length")
        if length:
            message.body = await reader.readexactly(int(length[0]))
        message.complete = True

    async def read_chunked(self, reader, message):
        while True:
            size = int((await reader.readuntil(b"\r\n")).split(b";")[0], 16)
            if size == 0:
                break
            message.body += await reader.readexactly(size)
            assert await reader.readexactly(2) == b"\r\n", "a chunk from the proxy that is longer than it says"
        while await reader.readuntil(b"\r\n") != b"\r\n":
            pass
        message.complete = True


class Response:
    def __init__(self, status, message):
        self.status, self.fields = status, message.fields
        self.body, self.complete = b"", False

    @property
    def final(self):
        return self.status >= 200 or self.status == 101

    def has(self, name, value=None):
        return any(n == name and value in (None, v) for n, v in self.fields)


class Seen:
    """What the client saw: octets, responses in order, whether the connection ended."""

    def __init__(self):
        self.raw, self.eof, self.responses = b"", False, []

    @property
    def finals(self):
        return [r for r in self.responses if r.final]

    def parse(self, methods):
        self.responses, rest, methods = [], self.raw, list(methods)
        while match := re.match(rb"HTTP/\d\.\d (\d{3})[^\r\n]*\r\n", rest):
            end = rest.find(b"\r\n\r\n")
            response = Response(int(match[1]), Message(rest[: end if end >= 0 else len(rest)]))
            self.responses.append(response)
            if end < 0:
                return
            rest = rest[end + 4 :]
            if response.final and response.status != 101:
                rest = self.read_body(response, methods.pop(0) if methods else "GET", rest)
            else:
                response.complete = True
            if response.status == 101:
                response.body = rest
                return
            if not response.complete:
                return

    def read_body(self, response, method, rest):
        """Returns what is behind the body."""
        fields = dict(response.fields)
        if method == "HEAD" or response.status in (204, 304):
            response.complete = True
            return rest
        if "transfer-encoding" in fields:
            return self.read_chunked(response, rest)
        length = int(fields["content-length"]) if "content-length" in fields else len(rest)
        response.body = rest[:length]
        response.complete = len(rest) >= length and ("content-length" in fields or self.eof)
        return rest[length:]

    def read_chunked(self, response, rest):
        while match := re.match(rb"([0-9a-fA-F]+)\r\n", rest):
            size, rest = int(match[1], 16), rest[match.end() :]
            if size == 0:
                end = (b"\r\n" + rest).find(b"\r\n\r\n")
                response.complete = end >= 0
                return rest[end + 2 :]
            response.body += rest[:size]
            if len(rest) < size + 2:
                break
            rest = rest[size + 2 :]
        return rest


class Lane:
    """One upstream socket, and the proxy's address that leads to it."""

    def __init__(self, path, address, byte_by_byte=False, settle=SETTLE):
        self.path, self.address, self.byte_by_byte, self.settle = path, address, byte_by_byte, settle
        self.worker = Worker()
        self.statuses = []  # of every final response a client has seen

    async def open(self):
        self.server = await asyncio.start_unix_server(self.worker.serve, self.path, limit=1 << 24, backlog=512)
        os.chmod(self.path, 0o777)

    async def run(self, case):
        """Complaints about what happened, none when all is as it should be."""
        self.worker.begin(case)
        seen = await self.drive(case)
        self.statuses += [r.status for r in seen.finals]
        complaints = check(case, seen, self.worker)
        self.worker.begin(None)
        after = await self.ask_next()
        self.statuses.append(200)
        if not after.startswith(b"HTTP/1.1 200 "):
            complaints.append(f"the next client got {after[:80]!r}")
        complaints += [f"the next client saw {t!r}" for t in case.get("next_client_not_contains", []) if t.encode() in after]
        return complaints

    async def ask_next(self):
        reader, writer = await asyncio.open_connection(*self.address)
        writer.write(NEXT)
        answer = await asyncio.wait_for(reader.read(), 10)
        writer.close()
        return answer

    async def send(self, case, raw, writer):
        try:
            step = 1 if case.get("byte_per_write") else max(1, len(raw) // 300) if self.byte_by_byte else len(raw) or 1
            for at in range(0, len(raw), step):
                writer.write(raw[at : at + step])
                await writer.drain()
                if step < len(raw):
                    await asyncio.sleep(0.0002)
            if case.get("half_close"):
                writer.write_eof()
            while "drip" in case:
                await asyncio.sleep(case["drip"]["every_ms"] / 1000)
                writer.write(case["drip"]["byte"].encode("latin-1"))
                await writer.drain()
        except (OSError, RuntimeError):
            pass

    async def drive(self, case):
        seen = Seen()
        raw = case.get("request", PLAIN).encode("latin-1") if case.get("side") == "backend" else octets(case)
        methods = [m.decode() for m in re.findall(rb"(?:^|\r\n|\n)([A-Z]+) [^ \r\n]+ HTTP/1", raw)] or ["GET"]
        reader, writer = await asyncio.open_connection(*self.address)
        sending = asyncio.ensure_future(self.send(case, raw, writer))
        end = time.monotonic() + (case.get("wait_ms", 0) / 1000 or PATIENCE)
        quiet = None
        # What a worker says later on must come while the connection is idle.
        settle = SETTLE if "then" in case else self.settle
        while True:
            limit = end - time.monotonic() if quiet is None else min(quiet, end - time.monotonic())
            try:
                piece = await asyncio.wait_for(reader.read(65536), max(limit, 0))
            except asyncio.TimeoutError:
                if not sending.done() and "drip" not in case and quiet is None and limit > 0:
                    continue
                break
            except OSError:
                piece = b""
            if not piece:
                seen.eof = True
                break
            seen.raw += piece
            seen.parse(methods)
            if 0 < len(seen.finals) < case.get("responses", 1):
                end = max(end, time.monotonic() + PATIENCE)  # a busy machine answers hundreds in more than that
            if seen.finals and seen.finals[-1].complete and not case.get("then_idle"):
                quiet = 2.0 if case.get("close_after") else 1.0 if len(seen.finals) < case.get("responses", 1) else settle
        seen.parse(methods)
        sending.cancel()
        writer.close()
        await asyncio.sleep(0.02)
        return seen


def check(case, seen, worker):
    bad = []
    first = seen.responses[0].status if seen.responses else "garbage" if seen.raw else "close" if seen.eof else "timeout"
    allowed = [case["prefer"]] if "prefer" in case else case["expect"]
    if first not in allowed:
        bad.append(f"first outcome {first}, allowed {allowed}")
    complete = [m for m in worker.messages if m.complete]
    if case.get("side") != "backend":
        bad += check_not_forwarded(case, worker, complete)
    bad += check_responses(case, seen)
    if "backend" in case and complete:
        bad += check_worker(case["backend"], complete)
    return bad


def check_not_forwarded(case, worker, complete):
    bad = []
    if case["must_not_forward"] and complete:
        bad.append(f"forwarded a complete request {complete[0].method} {complete[0].target}")
    if case.get("stage") == "head" and worker.received:
        bad.append("octets reached the worker")
    if "/smuggled" not in json.dumps(case.get("backend", "")) and any(m.target.startswith("/smuggled") for m in worker.messages):
        bad.append("a smuggled request reached the worker")
    bad += ["a request without our Via reached the worker" for m in worker.messages if not any("rota" in v for v in m.get("via"))]
    return bad


def check_responses(case, seen):
    bad, finals = [], seen.finals
    if "responses" in case and len(finals) > case["responses"]:
        bad.append(f"{len(finals)} responses")
    if not finals:
        return bad
    if case.get("close_after") and not seen.eof:
        bad.append("the connection was left open")
    if "final" in case and finals[0].status not in case["final"]:
        bad.append(f"final status {finals[0].status}, allowed {case['final']}")
    bad += [f"the response has {n}" for n in case.get("response_absent", []) if finals[0].has(n)]
    bad += [f"the page has {t}" for t in case.get("body_not_contains", []) if t.encode() in finals[0].body]
    if "client" in case and finals[0].status in (101, 200, 204, 206, 304):
        bad += check_client(case["client"], seen, finals[0])
    return bad


def check_client(want, seen, response):
    bad = []
    if "body" in want and response.body != want["body"].encode("latin-1"):
        bad.append(f"client body {response.body[:60]!r}")
    if "complete" in want and response.complete != want["complete"]:
        bad.append(f"the response looks {'complete' if response.complete else 'incomplete'}")
    if want.get("closed") and not seen.eof:
        bad.append("the client's connection was left open")
    bad += [f"the client got {n}" for n in want.get("absent", []) if response.has(n)]
    bad += [f"the client lacks {n}: {v}" for n, v in want.get("present", {}).items() if not response.has(n, v)]
    bad += [f"the client saw {v!r}" for v in want.get("not_contains_bytes", []) if v.encode("latin-1") in seen.raw]
    if want.get("framing_consistent") and response.has("transfer-encoding") and response.has("content-length"):
        bad.append("two framings")
    return bad


def check_worker(want, complete):
    bad, message = [], complete[0]
    targets, head = [m.target for m in complete], message.head.decode("latin-1")
    if "targets" in want and targets != want["targets"]:
        bad.append(f"the worker saw {targets}, wanted {want['targets']}")
    if "targets_any" in want and targets not in want["targets_any"]:
        bad.append(f"the worker saw {targets}, allowed {want['targets_any']}")
    if "targets_set" in want and sorted(targets) != sorted(want["targets_set"]):
        bad.append(f"the worker saw {targets}, wanted {want['targets_set']}")
    if "target_any" in want and message.target not in want["target_any"]:
        bad.append(f"target {message.target!r}, allowed {want['target_any']}")
    for name in ("method", "version"):
        if name in want and getattr(message, name) != want[name]:
            bad.append(f"{name} {getattr(message, name)}")
    if "body" in want and message.body != want["body"].encode("latin-1"):
        bad.append(f"worker body {message.body[:60]!r}")
    if "body_len" in want and len(message.body) != want["body_len"]:
        bad.append(f"worker body of {len(message.body)} octets")
    for name, value in want.get("present", {}).items():
        have = message.get(name.lower())
        if not have or value not in (None, *have):
            bad.append(f"worker field {name}: {have}, wanted {value!r}")
    bad += [f"the worker got {n}" for n in want.get("absent", []) if message.get(n.lower())]
    for key in ("contains", "contains_more"):
        for name, value in want.get(key, {}).items():
            if not any(value in v for v in message.get(name.lower())):
                bad.append(f"worker field {name} lacks {value!r}: {message.get(name.lower())}")
    for name, values in want.get("not_contains", {}).items():
        for value in values if isinstance(values, list) else [values]:
            if any(value in v for v in message.get(name.lower())):
                bad.append(f"worker field {name} has {value!r}")
    bad += [f"worker head has {v!r}" for v in want.get("not_contains_bytes", []) + want.get("head_not_contains", []) if v in head]
    bad += [f"worker head has {v!r}" for v in want.get("absent_in_head", []) if v.lower() in head.lower()]
    return bad
