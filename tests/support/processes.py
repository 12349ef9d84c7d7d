"""Processes as /proc shows them: who descends from whom, who is left, who is a zombie."""
import os

KERNEL_THREADS = 2  # the parent of them all


class Process:
    def __init__(self, pid, start, parent, state, command):
        self.pid, self.start, self.parent, self.state, self.command = pid, start, parent, state, command

    @property
    def key(self):
        return self.pid, self.start  # a pid alone is reused

    def __repr__(self):
        return f"{self.pid} {self.state} {self.command!r}"


def stat(pid):
    """The process with its short name for a command line, or None when it is gone."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            raw = file.read().decode("latin-1")
    except OSError:
        return None
    fields = raw.rsplit(")", 1)[1].split()
    return Process(int(pid), int(fields[19]), int(fields[1]), fields[0], raw.split("(", 1)[1].rsplit(")", 1)[0])


def with_command(process):
    """The same with its whole command line, or None when it is gone."""
    try:
        with open(f"/proc/{process.pid}/cmdline", "rb") as file:
            command = file.read().replace(b"\0", b" ").decode("utf-8", "replace").strip()
    except OSError:
        return None
    process.command = command or process.command  # a zombie has none
    return process


def read(pid):
    """The process, or None when it is gone."""
    process = stat(pid)
    return with_command(process) if process else None


def every():
    """Those of user space, with short names: this is asked often, and a machine has many processes."""
    found = (stat(pid) for pid in os.listdir("/proc") if pid.isdigit())
    return [p for p in found if p is not None and p.parent != KERNEL_THREADS]


def is_stopped(pid):
    """True once every thread has stopped: a signal to do so returns before they have."""
    states = []
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/stat", encoding="latin-1") as file:
            states.append(file.read().rsplit(")", 1)[1].split()[0])
    return set(states) == {"T"}


def tree(root):
    """The process and its descendants."""
    processes = every()
    found, todo = [], {root}
    while todo:
        level = [p for p in processes if p.pid in todo and p not in found]
        found += level
        pids = {p.pid for p in level}
        todo = {p.pid for p in processes if p.parent in pids}
    return [p for p in map(with_command, found) if p is not None]


def marked(mark):
    """Every process whose environment contains the mark."""
    found = []
    for process in every():
        try:
            with open(f"/proc/{process.pid}/environ", "rb") as file:
                environment = file.read()
        except OSError:
            environment = b""
        if mark.encode() in environment:
            found.append(process)
    return [p for p in map(with_command, found) if p is not None and p.pid != os.getpid()]


def memory(pid, field="VmRSS"):
    """A field of /proc/PID/status in bytes (VmRSS: resident now, VmHWM: at most)."""
    with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as file:
        for line in file:
            if line.startswith(field + ":"):
                return int(line.split()[1]) * 1024
    return 0


def cpu_seconds(pid):
    """What a process has used so far, in user and kernel mode."""
    with open(f"/proc/{pid}/stat", encoding="latin-1") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def status_field(pid, field):
    with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as file:
        for line in file:
            if line.startswith(field + ":"):
                return line.split(":", 1)[1].strip()
    return None
