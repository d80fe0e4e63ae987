"""Workers in one directory, or of Dask, that are killed, stopped, slowed down and left without disk, at random.

    python tests/studies/chaos.py --minutes 10 --workers 8
    python tests/studies/chaos.py --minutes 10 --workers 8 --dask

Afterwards the study must be complete, and each of its files the same, byte for byte, as one process writes it. What was
done is printed; another --seed does something else. A small disk, which is full now and then, needs the right to mount
one; without it workers may not write files as long as a shard's for a while.
"""

import argparse
import json
import os
import random
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

STUDY = Path(__file__).parents[1] / "small_study.py"
JAXLAND = [sys.executable, "-m", "jaxland"]
LEASE = 4.0


def _options(minutes):
    # About half a second of one processor a shard, and more of them than the time suffices for.
    shards = max(16, int(minutes * 60))
    return ["--steps", "1500000", "--fits", str(16 * shards // 2), "--shard-fits", "16"]


class Workers:
    """Processes of `jaxland work`, each with its own machine's name, begun again when they end."""

    def __init__(self, out, count, dice, happened):
        self.out, self.dice, self.happened = out, dice, happened
        self.begun, self.running, self.stopped = 0, [], {}
        self.count = count

    def fill(self):
        for process in self.running:
            if process.poll() is not None:
                self.happened[f"worker ended with {process.returncode}"] += 1
        self.running = [process for process in self.running if process.poll() is None]
        while len(self.running) < self.count:
            self.begun += 1
            self.running.append(self.begin())

    def begin(self):
        short = self.dice.random() < 0.1
        self.happened["worker that may write no shard"] += short
        command = [*JAXLAND, "work", str(self.out), "--name", f"node-{self.begun}", "--lease", str(LEASE)]
        return _process([*command, "--threads", "1"], preexec_fn=_no_room if short else None)

    def kill(self):
        self.happened["kill"] += 1
        self.dice.choice(self.running).kill()

    def stop(self):
        process = self.dice.choice(self.running)
        if process.pid not in self.stopped:
            self.happened["stop"] += 1
            process.send_signal(signal.SIGSTOP)
            self.stopped[process.pid] = (process, time.monotonic() + self.dice.uniform(0.2, 2.5 * LEASE))

    def slow(self):
        """Stopped again and again for a part of each second, as on a machine or a disk that is overloaded."""
        process = self.dice.choice(self.running)
        self.happened["slow"] += 1
        for _ in range(5):
            process.send_signal(signal.SIGSTOP)
            time.sleep(0.15)
            process.send_signal(signal.SIGCONT)
            time.sleep(0.05)

    def go_on(self, now=None):
        for pid, (process, until) in list(self.stopped.items()):
            if now is None or now > until:
                process.send_signal(signal.SIGCONT)
                del self.stopped[pid]

    def end(self):
        self.go_on()
        for process in self.running:
            process.wait()
            self.happened[f"worker ended with {process.returncode}"] += 1


class DaskWorkers(Workers):
    """Processes of a cluster of Dask, and `jaxland resume` on it, which is begun again when it ends too early."""

    def __init__(self, out, count, dice, happened):
        super().__init__(out, count, dice, happened)
        facts = out.parent.parent / "scheduler.json"
        self.dask = [sys.executable, "-m", "distributed.cli.dask_scheduler", "--port", "0", "--no-dashboard"]
        self.scheduler = _process([*self.dask, "--scheduler-file", str(facts)])
        while not facts.exists() or not facts.read_text():
            time.sleep(0.1)
        time.sleep(0.5)
        self.address, self.run = json.loads(facts.read_text())["address"], None

    def fill(self):
        super().fill()
        if self.run is None or self.run.poll() not in (None, 0):
            if self.run is not None:
                self.happened[f"run ended with {self.run.returncode}"] += 1
            self.run = _process([*JAXLAND, "resume", str(self.out), "--dask", self.address])

    def begin(self):
        work = [sys.executable, "-m", "distributed.cli.dask_worker", self.address, "--nthreads", "1"]
        return _process([*work, "--no-dashboard", "--no-nanny", "--death-timeout", "60"], cwd=self.out.parent.parent)

    def end(self):
        self.go_on()
        while self.run.poll() != 0:
            self.fill()
            time.sleep(0.2)
        self.happened["run ended with 0"] += 1
        for process in (*self.running, self.scheduler):
            process.terminate()
            process.wait()


def _process(command, **options):
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **options)


def _no_room():
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))


class SmallDisk:
    """A file system in memory that can be filled; an ordinary folder where none may be mounted."""

    def __init__(self, folder, size):
        folder.mkdir()
        self.folder, self.size = folder, size
        mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
        self.mounted = subprocess.run(mount, capture_output=True).returncode == 0

    def fill(self):
        try:
            with (self.folder / "ballast").open("wb") as file:
                for _ in range(self.size // 1024):
                    file.write(bytes(1024))
                    file.flush()
        except OSError:
            return

    def empty(self):
        (self.folder / "ballast").unlink(missing_ok=True)

    def close(self):
        if self.mounted:
            subprocess.run(["umount", "-l", str(self.folder)], check=False)


def _bytes(path):
    return {str(file.relative_to(path)): file.read_bytes() for file in (path / "fits").rglob("*.parquet")}


def _jaxland(*arguments):
    return subprocess.run([*JAXLAND, *map(str, arguments)], capture_output=True, text=True)


def rage(workers, disk, minutes, dice, happened):
    """Does harm until the time is over or all shards are there."""
    workers.fill()
    while not _bytes(workers.out):  # they take a while to start
        time.sleep(0.1)
    end, full_until = time.monotonic() + 60 * minutes, 0.0
    while time.monotonic() < end and not (workers.out / "summary.md").exists():
        workers.fill()
        now = time.monotonic()
        workers.go_on(now)
        if full_until and now > full_until:
            disk.empty()
            full_until = 0.0
        harm = dice.choices(["kill", "stop", "slow", "full", "nothing"], [2, 3, 3, 1, 3])[0]
        if harm == "full" and disk.mounted and not full_until:
            happened["full disk"] += 1
            disk.fill()
            full_until = now + dice.uniform(1, 15)
        elif harm not in ("full", "nothing"):
            getattr(workers, harm)()
        time.sleep(dice.uniform(0.2, 1.5))
    disk.empty()


def main():
    """Runs the chaos; returns 0 if nothing was lost."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=1)
    parser.add_argument("--workers", type=int, default=8)
    parser.add_argument("--dask", action="store_true")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path)
    options = parser.parse_args()
    os.nice(10)
    folder = options.folder or Path(tempfile.mkdtemp(prefix="chaos-"))
    dice, happened = random.Random(options.seed), Counter()
    serial, disk = folder / "serial", SmallDisk(folder / "disk", 30_000_000)
    out = disk.folder / "shared"
    study = ["run", STUDY, *_options(options.minutes), "--out"]
    try:
        prepared = _jaxland(*study, out, "--prepare")
        assert prepared.returncode == 0, prepared.stderr
        workers = (DaskWorkers if options.dask else Workers)(out, options.workers, dice, happened)
        rage(workers, disk, options.minutes, dice, happened)
        there = len(_bytes(out))
        workers.end()
        code = _jaxland("resume", out).returncode
        print(f"{there} shards when it was over, {workers.begun} workers begun, on a small disk: {disk.mounted}")
        print("".join(f"  {count:>4} {what}\n" for what, count in sorted(happened.items())), end="")
        assert _jaxland(*study, serial).returncode == 0
        same = _bytes(out) == _bytes(serial) and code == 0
        same &= (out / "claims.csv").read_bytes() == (serial / "claims.csv").read_bytes()
        print(f"{len(_bytes(out))} shards and the claims are those of one process byte for byte: {same}")
        return 0 if same else 1
    finally:
        disk.close()


if __name__ == "__main__":
    sys.exit(main())
