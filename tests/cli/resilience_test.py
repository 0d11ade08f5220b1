"""Folder runs that are killed, that run out of disk, and that go on for long."""
import json
import os
import random
import shutil
import signal
import statistics
import subprocess
import sys
import time
import unittest
import zlib
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
import tiny_samples  # noqa: E402
from cli_test import PROGRAM, WithFolder  # noqa: E402

FORMATS = ("--format", "png,cog,geojson,coco", "--overlay")


def journal_entries(folder):
    """Inputs of the lines that count: whole, and with the CRC of the text behind "entry":, byte for byte."""
    inputs = []
    for journal in folder.glob("journal*.jsonl"):
        for line in journal.read_bytes().split(b"\n"):
            head, mark, rest = line.partition(b'"entry":')
            if not mark or not rest.endswith(b"}"):
                continue
            try:
                crc = json.loads(head.rstrip(b",") + b"}")["crc"]
            except (json.JSONDecodeError, KeyError):
                continue
            if crc == zlib.crc32(rest[:-1]):
                inputs.append(json.loads(rest[:-1])["key"]["input"])
    return inputs


def contents(folder):
    """Every file that a person asked for."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()
            and not path.name.startswith((".", "journal", "summary", "events"))}


def events(path):
    """Whole lines only: the last may be torn."""
    text = path.read_text() if path.exists() else ""
    return [json.loads(line) for line in text[:text.rfind("\n") + 1].splitlines()]


class Runs(WithFolder):
    def command(self, *arguments, out=None):
        fixed = ("--model", self.model, "--device", "cpu", "--precision", "float32", "--threads", 1, "-q")
        return [PROGRAM, *map(str, ("segment", *arguments, "-o", out or self.out, *fixed))]

    def run_whole(self, *arguments, out=None):
        return subprocess.run(self.command(*arguments, out=out), capture_output=True, text=True, timeout=240)


class Killed(Runs):
    KILLS = 20

    def setUp(self):
        super().setUp()
        for number in range(36):
            place = self.folder / "in" / ("ab"[number % 2] if number < 8 else "") / f"{number // 2 if number < 8 else number}.png"
            tiny_samples.write_png(place, 60 + 7 * (number % 9), 40 + 5 * (number % 7), seed=number)
        self.events = self.folder / "events.jsonl"
        self.random = random.Random(2026)

    def kill_a_run(self, work_seconds):
        """Starts a run that goes on where the last one ended, and kills it while it starts or while it works."""
        self.events.unlink(missing_ok=True)
        process = subprocess.Popen(self.command(self.folder / "in", *FORMATS, "--resume", "--events", self.events),
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        if self.random.random() < 0.15:
            time.sleep(self.random.uniform(0.05, 0.6))
        else:
            while not self.events.exists() and process.poll() is None:
                time.sleep(0.001)
            time.sleep(self.random.uniform(0, 2.5 * work_seconds / self.KILLS))
        process.kill()
        return process.wait()

    def test_twenty_times_resumes_to_the_same_bytes_and_does_nothing_twice(self):
        undisturbed, start = self.folder / "undisturbed", time.monotonic()
        self.assertEqual(self.run_whole(self.folder / "in", *FORMATS, "--events", self.folder / "timed.jsonl", out=undisturbed).returncode, 0)
        expected = contents(undisturbed)
        self.assertEqual(len(expected), 36 * 5)
        stamps = (self.folder / "timed.jsonl").stat().st_mtime - (undisturbed / ".fovea.lock").stat().st_mtime
        killed, progress, finished = 0, [], []
        for _ in range(self.KILLS):
            killed += self.kill_a_run(stamps) == -signal.SIGKILL
            self.check_run(finished, expected)
            finished = journal_entries(self.out)
            progress.append(len(finished))
        self.events.unlink(missing_ok=True)
        self.assertEqual(self.run_whole(self.folder / "in", *FORMATS, "--resume", "--events", self.events).returncode, 0)
        self.check_run(finished, expected)
        self.assertEqual(contents(self.out), expected)
        self.assertEqual(sorted(journal_entries(self.out)), sorted(set(journal_entries(self.out))), "finished twice")
        self.assertEqual(len(journal_entries(self.out)), 36)
        self.assertFalse([path for path in self.out.rglob("*") if "partial" in path.name])
        # Enough of the kills met a run at work, or this test would show nothing.
        self.assertGreaterEqual(killed, self.KILLS // 2, progress)
        self.assertGreaterEqual(len(set(progress)), 5, progress)
        print(f"killed {killed} of {self.KILLS}, finished after each: {progress}, {time.monotonic() - start:.0f} s", file=sys.stderr)

    def check_run(self, finished_before, expected):
        """Of the run that just ended: whole files only, and nothing done that had been finished."""
        for name, content in contents(self.out).items() if self.out.exists() else []:
            self.assertEqual(content, expected[name], name)
        started = {event["input"] for event in events(self.events) if event["event"] == "image_started"}
        self.assertFalse(started & set(finished_before), "done again although it was finished")


class Shards(Runs):
    def test_remove_leftovers_of_their_own_files_only(self):
        for number in range(4):
            tiny_samples.write_png(self.folder / "in" / "deep" / f"{number}.png", 40, 30, seed=number)
        self.out.mkdir()
        mine = [".0_mask.77777-3.partial.png", ".2.77777-12.partial.geojson", ".summary-1-of-2.77777-0.partial.json"]
        others = [".1_mask.77777-3.partial.png", ".3.77777-1.partial.geojson", ".summary.77777-0.partial.json", ".0_mask.partial.png",
                  ".summary-2-of-2.77777-0.partial.json", "0_mask.1-1.partial.png"]
        for name in mine + others:
            (self.out / name).write_text("left behind")
        self.assertEqual(self.run_whole(self.folder / "in", "--shard", "1/2").returncode, 0)
        self.assertEqual(sorted(path.name for path in self.out.iterdir() if "partial" in path.name), sorted(others))
        self.assertEqual(self.run_whole(self.folder / "in").returncode, 0)
        left = sorted(path.name for path in self.out.iterdir() if "partial" in path.name)
        self.assertEqual(left, [".0_mask.partial.png", "0_mask.1-1.partial.png"])   # not names that this program gives


class FullDisk(Runs):
    def setUp(self):
        super().setUp()
        self.disk = self.folder / "disk"
        self.disk.mkdir()
        if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", self.disk], capture_output=True).returncode != 0:
            self.skipTest("NOT TESTED: a small file system cannot be mounted here")
        self.addCleanup(subprocess.run, ["umount", self.disk], check=True)
        self.out = self.disk / "out"

    def test_is_one_clear_error_and_resumes_when_there_is_room(self):
        for number in range(24):
            tiny_samples.write_png(self.folder / "in" / f"{number}.png", 240, 180, seed=number)
        options = (self.folder / "in", "--format", "png,probs,tif")
        undisturbed = self.folder / "undisturbed"
        self.assertEqual(self.run_whole(*options, out=undisturbed).returncode, 0)
        expected = contents(undisturbed)
        self.assertGreater(sum(map(len, expected.values())), 2 << 20, "these fit the disk")
        full = self.run_whole(*options)
        self.assertEqual(full.returncode, 3, full.stderr)
        self.assertRegex(full.stderr, r"^/\S+/out/\S+: cannot write: No space left on device\n$")
        for name, content in contents(self.out).items():
            self.assertEqual(content, expected[name], name)
        self.assertFalse([path for path in self.out.rglob("*") if "partial" in path.name])
        finished = journal_entries(self.out)
        self.assertGreaterEqual(len(finished), 1)
        self.assertLess(len(finished), 24)
        subprocess.run(["mount", "-o", "remount,size=64m", self.disk], check=True)
        resumed = self.run_whole(*options, "--resume")
        self.assertEqual((resumed.returncode, resumed.stderr), (0, ""))
        self.assertEqual(self.summary()["counts"], {"done": 24 - len(finished), "kept": len(finished), "failed": 0, "left": 0})
        self.assertEqual(contents(self.out), expected)


class Long(Runs):
    def memory_kilobytes(self, process):
        """What the process itself allocated: pages of files that it maps come and go as the system pleases."""
        for line in Path(f"/proc/{process.pid}/status").read_text().splitlines():
            if line.startswith("RssAnon:"):
                return int(line.split()[1])
        return None

    def test_images_that_wait_for_the_writer_are_few(self):
        # Polygons of a noisy mask take longer than the model: each waiting image keeps two temporaries open here.
        for number in range(24):
            tiny_samples.write_png(self.folder / "in" / f"{number:02}.png", 150, 110, seed=number)
        process = subprocess.Popen(self.command(self.folder / "in", "--format", "geojson"), stdout=subprocess.DEVNULL)
        most = 0
        while process.poll() is None:
            most = max(most, len(list(self.out.glob(".*.partial*"))))
            time.sleep(0.005)
        self.assertEqual(process.returncode, 0)
        self.assertGreater(most, 0)
        self.assertLessEqual(most, 2 * 9)

    def watch_memory(self, process, log):
        """Most kilobytes seen while each number of images was done."""
        most, done, at = {}, 0, 0
        while process.poll() is None:
            if log.exists():
                with open(log) as lines:
                    lines.seek(at)
                    text = lines.read()
                done, at = done + text.count('"image_done"'), at + len(text)
                kilobytes = self.memory_kilobytes(process)
                if kilobytes:
                    most[done] = max(most.get(done, 0), kilobytes)
            time.sleep(0.005)
        return most

    def test_resident_memory_does_not_grow_with_the_number_of_images(self):
        originals = [tiny_samples.write_png(self.folder / f"{number}.png", 150 + 9 * number, 110 + 4 * number, seed=number)
                     for number in range(10)]
        (self.folder / "in").mkdir()
        for number in range(500):
            shutil.copy(originals[number % 10], self.folder / "in" / f"{number:03}.png")
        log = self.folder / "events.jsonl"
        # AddressSanitizer would keep what was freed.
        environment = {**os.environ, "ASAN_OPTIONS": "quarantine_size_mb=0:thread_local_quarantine_size_kb=0"}
        process = subprocess.Popen(self.command(self.folder / "in", "--format", "png,tif", "--overlay", "--events", log),
                                   stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=environment)
        most = self.watch_memory(process, log)
        self.assertEqual(process.returncode, 0, process.stderr.read())
        process.stderr.close()
        self.assertEqual(self.summary()["counts"]["done"], 500)
        growth = growth_by_image(most)
        print(f"memory: {max(most.values())} kB at most, {growth:+.1f} kB with each image", file=sys.stderr)
        # A leak of one image's pixels would be 80 kB an image, of its labels 27 kB; the report keeps less than 1.5 kB of each.
        self.assertLess(growth, LEAK_KILOBYTES)


LEAK_KILOBYTES = 16
WARM_IMAGES, PHASES = 120, 6   # by then every queue, cache and pool has been full; what follows is cut into equal phases


def growth_by_image(most):
    """Kilobytes that come with each image: the second least that a phase adds to the one before. A leak adds in each, while the steps that
    allocators make, and fuller queues on a busier machine, fall into some."""
    length = (max(most) - WARM_IMAGES) / PHASES
    levels = [statistics.median(kilobytes for images, kilobytes in most.items()
                                if WARM_IMAGES + phase * length <= images <= WARM_IMAGES + (phase + 1) * length)
              for phase in range(PHASES)]
    return sorted(after - before for before, after in zip(levels, levels[1:]))[1] / length


class GrowthByImage(unittest.TestCase):
    """The measure itself: it must tell a leak from noise."""

    def series(self, leak, seed, steps=(), every=1):
        generator = random.Random(seed)
        return {images: 200000 + leak * images + generator.uniform(-400, 400) + sum(4000 for step in steps if images > step)
                for images in range(0, 500, every)}

    def test_finds_leaks(self):
        for seed in range(50):
            for every in (1, 6):
                self.assertGreater(growth_by_image(self.series(leak=27, seed=seed, every=every)), LEAK_KILOBYTES)

    def test_is_not_misled_by_noise_and_steps(self):
        for seed in range(50):
            for every in (1, 6):
                for steps in ((), (300,), (200, 400)):
                    self.assertLess(growth_by_image(self.series(leak=1.5, seed=seed, steps=steps, every=every)), LEAK_KILOBYTES)


if __name__ == "__main__":
    unittest.main()
