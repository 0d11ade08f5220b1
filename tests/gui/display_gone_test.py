"""The display server ends while fovea-view runs: one line, exit code 3. Usage: display_gone_test.py XVFB FOVEA_VIEW"""
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "cli"))
import tiny_samples  # noqa: E402

PATIENCE_S = 120


def wait_until(condition, what):
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.05)


def main(xvfb, viewer):
    read_end, write_end = os.pipe()
    server = subprocess.Popen([xvfb, "-displayfd", str(write_end), "-screen", "0", "800x600x24", "-nolisten", "tcp"], pass_fds=[write_end],
                              stderr=subprocess.DEVNULL)
    os.close(write_end)
    display = ":" + os.fdopen(read_end).readline().strip()
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        environment = dict(os.environ, DISPLAY=display, XDG_CONFIG_HOME=str(folder / "config"), XDG_CACHE_HOME=str(folder / "cache"))
        image, log = tiny_samples.write_png(folder / "picture.png", 64, 48), folder / "stderr.txt"
        with open(log, "w") as errors:
            program = subprocess.Popen([viewer, "--width", "320", "--height", "240", image], env=environment, stderr=errors)
        try:
            # Settings are written when the image is open; whether the loop has begun by then makes no difference.
            settings = folder / "config" / "fovea" / "viewer.json"
            wait_until(lambda: program.poll() is not None or settings.exists(), "the window")
            assert program.poll() is None, log.read_text()
            server.send_signal(signal.SIGKILL)
            assert program.wait(PATIENCE_S) == 3, (program.returncode, log.read_text())
            said = log.read_text().splitlines()
            assert said[-1].startswith("the display is gone"), said
        finally:
            program.kill()
            server.kill()


if __name__ == "__main__":
    main(*sys.argv[1:])
