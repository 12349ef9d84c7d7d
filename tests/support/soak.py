"""A long life under load with deaths in it: a worker is killed every two seconds, the configuration is read again every
ten, one request in a hundred is malformed. No GET fails, no POST is executed twice, and memory and descriptors do not
grow. ROTA_SOAK_MINUTES (30). Run by tests/long/soak."""
import json
import os
import random
import signal
import time

import processes
import rota_testing
from load import Load, assert_each_once, post_log_app
from rota_testing import RotaCase, wait_for

MINUTES = float(os.environ.get("ROTA_SOAK_MINUTES", "30"))
KILL_EVERY, RELOAD_EVERY, SAMPLE_EVERY = 2, 10, 5
MIB = 1 << 20
GROWTH_MAX = 2 * MIB  # from the middle third to the last
SLOPE_MAX = MIB / 60  # for each minute of a run of half an hour


def slope(samples):
    """Of (seconds, value), least squares, for each minute."""
    count = len(samples)
    mean_x, mean_y = sum(x for x, _ in samples) / count, sum(y for _, y in samples) / count
    spread = sum((x - mean_x) ** 2 for x, _ in samples)
    return 60 * sum((x - mean_x) * (y - mean_y) for x, y in samples) / spread if spread else 0.0


class Soak(RotaCase):
    def roles(self, daemon):
        return {"keeper": daemon.pid, "supervisor": daemon.role("supervisor").pid, "proxy": daemon.role("proxy").pid}

    def reload(self, daemon, turn):
        path = self.folder / "rota.yaml"
        config = json.loads(path.read_text())
        config["timeouts"] = {"idle": f"{60 + turn % 10}s"}
        path.write_text(json.dumps(config))
        os.kill(daemon.pid, signal.SIGHUP)

    def test_soak(self):
        dice = random.Random(1)
        daemon = self.serve({"web": post_log_app(self, 3, answer_after_us=300)}, threads=2)
        daemon.wait_workers(3)
        roles = self.roles(daemon)
        memory, held = {role: [] for role in roles}, {role: [] for role in roles}
        kills = reloads = 0
        load = Load(self, daemon, 32, posts=10, bad=1).under_way()
        began = time.monotonic()
        end, kill_at, reload_at, sample_at = began + 60 * MINUTES, began, began + RELOAD_EVERY, began
        while (now := time.monotonic()) < end:
            if now >= kill_at:
                workers = daemon.workers("post_log_worker")
                if len(workers) >= 3:
                    os.kill(dice.choice(workers).pid, signal.SIGKILL)
                    kills += 1
                kill_at = now + KILL_EVERY
            if now >= reload_at:
                reloads += 1
                self.reload(daemon, reloads)
                reload_at = now + RELOAD_EVERY
            if now >= sample_at:
                self.assertEqual(self.roles(daemon), roles, "no role has ended")
                for role, pid in roles.items():
                    memory[role].append((now - began, processes.memory(pid)))
                    held[role].append((now - began, len(os.listdir(f"/proc/{pid}/fd"))))
                sample_at = now + SAMPLE_EVERY
            time.sleep(0.1)
        result = load.stop()
        wait_for(lambda: not [p for p in daemon.tree() if p.state == "Z"], 5, "the end of the zombies")
        summary, growing = self.judge(memory, held)
        print(f"soak: {MINUTES:g} minutes, {kills} kills, {reloads} reloads, {result['get']} GETs, {result['post']} POSTs, "
              f"{result['bad']} malformed, {result['failed']} POSTs got 502, slowest {result['slowest_ms']} ms; {summary}", flush=True)
        self.assertEqual([f for f in result["failures"] if (f["method"], f["status"]) != ("POST", 502)], [])
        self.assertEqual(result["refused"], 0)
        self.assertEqual(growing, [])
        assert_each_once(self, load)
        daemon.stop()

    def judge(self, memory, held):
        """A summary, and what grows. The pools of a proxy fill and empty: it is the highest values that must not rise."""
        words, growing = [], []
        for role in memory:
            third = len(memory[role]) // 3  # the first is for warming up
            kept, fds = memory[role][third:], held[role][third:]
            top = lambda samples: max(value for _, value in samples)
            growth, more = top(kept[third:]) - top(kept[:third]), top(fds[third:]) - top(fds[:third])
            words.append(f"{role} {top(kept) / MIB:.1f} MiB {slope(kept) / 1024:+.2f} KiB/min, {top(fds)} fds {slope(fds):+.3f}/min")
            if growth > GROWTH_MAX or (MINUTES >= 30 and slope(kept) > SLOPE_MAX) or more > 8:
                growing.append(words[-1])
        return "; ".join(words), growing


if __name__ == "__main__":
    rota_testing.main()
