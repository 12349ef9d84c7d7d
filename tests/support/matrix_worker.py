#!/usr/bin/env python3
"""A worker that dies at one exact moment of a request, in one way: what the kill matrix needs (test_kill_matrix.py).

GET /plan?moment=M&how=H&cell=C arms it: the next connection or request to reach that moment is its last. The file
GATES/fired-C says that it was. Every worker, armed or not, tells by GATES/saw-ID when it has read as much of request
ID as the client is to send before it goes on, and appends ID to the file EXECUTED when it has read all of it.
"""
import os
import resource
import select
import signal
import socket
import sys
import threading
import time
import urllib.parse

from wire import Wire, WireError

SLOT = os.environ.get("WORKER_ID", "?")
GATES = os.environ["GATES"]


class Plan:
    moment = how = cell = None


connections = set()  # that are open


def touch(name):
    os.close(os.open(os.path.join(GATES, name), os.O_CREAT | os.O_WRONLY, 0o666))


def run_out_of_memory():
    resource.setrlimit(resource.RLIMIT_AS, (200 << 20, 200 << 20))
    try:
        bytearray(1 << 30)
    except MemoryError:
        os.abort()


WAYS = {
    "KILL": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "STOP": lambda: os.kill(os.getpid(), signal.SIGSTOP),
    "SEGV": lambda: os.kill(os.getpid(), signal.SIGSEGV),
    "TERM": lambda: os.kill(os.getpid(), signal.SIGTERM),
    "exit 0": lambda: os._exit(0),
    "exit 1": lambda: os._exit(1),
    "OOM": run_out_of_memory,
}


def reached(moment):
    """Never comes back from the moment that was planned."""
    if Plan.moment != moment:
        return
    touch("fired-" + Plan.cell)
    WAYS[Plan.how]()
    while True:
        time.sleep(1)


def read_body(wire, length, moment, name):
    body = bytearray()
    for piece in wire.exactly(length):
        body += piece
        if moment == "in request body":
            if len(body) < length:
                reached(moment)
            touch("saw-" + name)
    return bytes(body)


def answer(wire, head):
    target = urllib.parse.urlsplit(head.start.split(" ")[1])
    query = dict(urllib.parse.parse_qsl(target.query))
    length = int(head.get("content-length", "0"))
    if target.path == "/plan":
        Plan.moment, Plan.how, Plan.cell = query["moment"], query["how"], query["cell"]
        for other in list(connections):
            if other is not wire.sock:
                other.shutdown(socket.SHUT_RDWR)
        wire.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        return False
    if target.path == "/moment":
        moment, name = query["moment"], query["id"]
        if moment == "after head":
            reached(moment)
            touch("saw-" + name)
        read_body(wire, length, moment, name)
        fd = os.open(os.environ["EXECUTED"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
        os.write(fd, f"{name}\n".encode())
        os.close(fd)
        reached("after body")
        if moment == "after 1xx":
            wire.send(b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n")
            reached(moment)
    body = f"{SLOT} {os.getpid()}".encode()
    start = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body)
    if target.path != "/moment":
        wire.send(start + body)
        return True
    wire.send(start)
    reached("after response head")
    wire.send(body[:2])
    reached("in response body")
    if Plan.moment == "idle":  # the client looks for it as soon as it has the answer
        touch("fired-" + Plan.cell)
    wire.send(body[2:])
    reached("idle")
    return True


def serve(connection):
    wire = Wire(connection)
    try:
        while answer(wire, wire.head()):
            pass
    except (WireError, OSError):
        pass
    finally:
        connections.discard(connection)
        connection.close()


def main():
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(os.environ["PORT"])
    listener.listen(512)
    while True:
        select.select([listener], [], [])
        reached("before accept")
        connection, _ = listener.accept()
        if Plan.moment == "after connect":
            select.select([connection], [], [])
            reached("after connect")
        connections.add(connection)
        threading.Thread(target=serve, args=(connection,), daemon=True).start()


if __name__ == "__main__":
    sys.exit(main())
