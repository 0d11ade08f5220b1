"""The program fovea as a person and a script meet it: exit codes, messages, files."""
import fcntl
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest
import zlib
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
import tiny_samples  # noqa: E402

PROGRAM = os.environ["FOVEA_PROGRAM"]
DATA = Path(__file__).parent / "data"


def fovea(*arguments, cwd=None, **environment):
    return subprocess.run([PROGRAM, *map(str, arguments)], capture_output=True, text=True, cwd=cwd, timeout=240,
                          env={**os.environ, **environment})


class WithFolder(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.shared = Path(tempfile.mkdtemp(prefix="fovea_cli_"))
        cls.model = tiny_samples.write_model(cls.shared / "models" / "tiny")
        cls.image = tiny_samples.write_png(cls.shared / "good.png", 150, 110)

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.shared)

    def setUp(self):
        self.folder = Path(tempfile.mkdtemp(dir=self.shared))
        self.out = self.folder / "out"

    def segment(self, *arguments, **environment):
        # The same on every processor: some would choose bfloat16.
        precision = () if "--precision" in arguments else ("--precision", "float32")
        return fovea("segment", *arguments, "-o", self.out, "--model", self.model, "--device", "cpu", *precision, **environment)

    def files(self):
        return sorted(str(path.relative_to(self.out)) for path in self.out.rglob("*") if path.is_file())

    def results(self):
        """What a person looks at: without the journal and the lock."""
        return [name for name in self.files() if not name.startswith((".fovea", "journal"))]

    def summary(self):
        return json.loads((self.out / "summary.json").read_text())


class Usage(WithFolder):
    def test_help_has_an_example_and_starts_at_once(self):
        for command in ([], ["segment"], ["eval"], ["train"], ["import"], ["info"], ["bench"], ["attend"]):
            result = fovea(*command, "-h", LD_DEBUG="files")   # the loader names every library on standard error
            self.assertEqual(result.returncode, 0)
            self.assertIn("Example:", result.stdout)
            self.assertIn("libc.so", result.stderr)
            self.assertNotIn("libtorch", result.stderr)        # seconds, on a slow disk

    def test_version(self):
        self.assertRegex(fovea("--version").stdout, r"^fovea \d+\.\d+\.\d+\n$")

    def test_wrong_use_exits_2_with_one_line(self):
        for arguments, words in [([], "a command is required"), (["segment"], "required"), (["segment", "x.png"], "--output"),
                                 (["segment", "x.png", "-o", "o", "--device", "gpu"], "--device"),
                                 (["segment", "x.png", "-o", "o", "--context", "window"], "--context"),
                                 (["segment", "x.png", "-o", "o", "--format", "bmp"], "--format"),
                                 (["segment", "x.png", "-o", "o", "--on-error", "ask"], "--on-error"), (["polish"], "'polish' is not a command; there are segment, attend"), (["polish", "-x"], "not a command")]:
            result = fovea(*arguments)
            self.assertEqual(result.returncode, 2, arguments)
            self.assertEqual(result.stderr.count("\n"), 1, result.stderr)
            self.assertIn(words, result.stderr)

    def test_info_of_program_image_and_model(self):
        program = fovea("info")
        self.assertEqual(program.returncode, 0)
        for word in ("torch", "GDAL", "reference", "cpu"):
            self.assertIn(word, program.stdout)
        self.assertIn("150 x 110", fovea("info", self.image).stdout)
        self.assertIn("roof", fovea("info", "tiny", FOVEA_MODELS=str(self.shared / "models")).stdout)
        scored = tiny_samples.write_model(self.folder / "scored")
        config = json.loads((scored / "config.json").read_text())
        config["sources"] = [{"what": "weights", "licence": "MIT", "from": "here"}, {"what": "data"}, {"other": 1}]
        config["scores"] = {"validation": {"mean_iou": 0.51239, "iou": {"roof": 0.5, "tree": None}}, "speed": 3}
        (scored / "config.json").write_text(json.dumps(config))
        told = fovea("info", scored).stdout
        for line in ("source         weights; MIT; from here\n", "source         data\n", 'source         {"other":1}\n',
                     "score          validation: mean IoU 0.512, roof 0.500\n", "score          speed: 3\n"):
            self.assertIn(line, told)
        missing = fovea("info", self.folder / "none.png")
        self.assertNotEqual(missing.returncode, 0)
        self.assertTrue(missing.stderr.startswith(str(self.folder / "none.png") + ": "), missing.stderr)


class Bench(WithFolder):
    def test_a_wide_image_is_measured_and_its_labels_compared(self):
        # One row of its tokens needs more than the small bands with which labels are compared.
        result = fovea("bench", "segment", "--sizes", "4000x64", "--contexts", "image,tiles", "--model", self.model, "--device", "cpu", "--json")
        self.assertEqual(result.returncode, 0, result.stdout + result.stderr)
        for row in json.loads(result.stdout)["rows"]:
            self.assertGreater(row["megapixels_per_second"]["end_to_end"], 0)
            self.assertIn("changed_elsewhere", row["seam"])


class Models(WithFolder):
    def refused(self, model, words):
        result = fovea("segment", self.image, "-o", self.out, "--model", model)
        self.assertEqual(result.returncode, 3, result.stderr)
        self.assertEqual(result.stderr.count("\n"), 1, result.stderr)
        self.assertIn(words, result.stderr)
        self.assertFalse(self.out.exists())

    def test_unknown_name_lists_what_there_is(self):
        result = fovea("segment", self.image, "-o", self.out, "--model", "nosuch", FOVEA_MODELS=str(self.shared / "models"))
        self.assertEqual(result.returncode, 3)
        self.assertIn("tiny", result.stderr)

    def test_import_keeps_learned_positions_unless_told_otherwise(self):
        source = Path(__file__).parents[1] / "model" / "data" / "dinov2_tiny.safetensors"
        for more, positions in ([], "learned"), (["--rope"], "rope"), (["--rope=50"], "rope"):
            folder = self.folder / f"imported{len(more)}{''.join(more)}"
            result = fovea("import", source, "-o", folder, "--heads", "2", *more)
            self.assertEqual(result.returncode, 0, result.stderr)
            stored = json.loads((folder / "config.json").read_text())["encoder"]["positions"]
            self.assertEqual(stored["kind"], positions)
            if more:
                self.assertEqual(stored["base"], 50 if "=" in more[0] else 100)

    def test_onnx_file_that_cannot_be_read_is_one_line(self):
        result = fovea("import", self.folder / "absent.onnx", "-o", self.out)
        self.assertEqual((result.returncode, result.stderr.count("\n")), (3, 1))
        self.assertIn("absent.onnx: no such file", result.stderr)
        (self.folder / "text.onnx").write_text("not a graph")
        result = fovea("import", self.folder / "text.onnx", "-o", self.out)
        self.assertEqual((result.returncode, result.stderr.count("\n")), (3, 1))
        self.assertRegex(result.stderr, "text.onnx: (is not an ONNX model|.*scripts/setup.sh onnx)")
        self.assertFalse(self.out.exists())

    def test_missing_tensor(self):
        model = tiny_samples.write_model(self.folder / "m", drop_tensor="decoder.head.bias")
        self.refused(model, "decoder.head.bias: is missing")

    def test_more_weights_than_memory(self):
        # Not beyond what the kernel gives out on credit: a model that would be killed while it is read.
        total = int(re.search(r"MemTotal: +(\d+) kB", Path("/proc/meminfo").read_text())[1]) * 1024
        model = tiny_samples.write_huge_model(self.folder / "huge", total)
        self.refused(model, "GB of memory, ")
        said = fovea("segment", self.image, "-o", self.out, "--model", model).stderr
        self.assertRegex(said, r"huge/config.json: its weights need \d+\.\d\d GB of memory, .*\d+\.\d\d GB are available.*; "
                               r"close other programs, or take a smaller model")

    def test_later_version(self):
        model = tiny_samples.write_model(self.folder / "m", change_config=lambda c: c.update(format="fovea-model/2"))
        self.refused(model, "fovea-model/2")

    def test_classes_that_the_weights_do_not_have(self):
        model = tiny_samples.write_model(self.folder / "m", change_config=lambda c: c["classes"].append({"name": "x", "colour": [1, 2, 3]}))
        self.refused(model, "decoder.head")


class Eval(WithFolder):
    def test_scores_of_its_own_labels_are_perfect_and_of_others_not(self):
        self.assertEqual(self.segment(self.image, "--precision", "float32", "--context", "tiles").returncode, 0)
        data = self.folder / "data"
        data.mkdir()
        shutil.copy(self.image, data / "a.png")
        shutil.copy(self.out / "good_mask.png", data / "a_mask.png")

        def scores(*options):
            result = fovea("eval", "--model", self.model, "--images", data, "--device", "cpu", *options)
            self.assertEqual(result.returncode, 0, result.stderr)
            return json.loads(result.stdout)
        whole = scores()
        self.assertEqual((whole["mean_iou"], whole["pixel_accuracy"], whole["pixels"]), (1.0, 1.0, 150 * 110))
        self.assertEqual(set(whole["iou"]), {"ground", "roof", "tree"})
        for sides in (["0.5,0,1,1"], ["0.5", "0", "1", "1"]):
            self.assertEqual(scores("--only", "a", "--region", *sides)["pixels"], 75 * 110)
        tiny_samples.write_png(data / "a.png", 150, 110, seed=5)
        self.assertLess(scores()["mean_iou"], 1.0)

    def test_what_is_wrong_is_said(self):
        for options, code, message in ((("--images", self.folder / "gone"), 1, "gone: "),
                                       (("--images", self.folder, "--region", "0.5,0,1"), 2, "--region"),
                                       (("--images", self.folder, "--region", "0.5,0,1,7"), 2, "--region")):
            result = fovea("eval", "--model", self.model, *options)
            self.assertEqual(result.returncode, code, result.stderr)
            self.assertEqual(result.stderr.count("\n"), 1, result.stderr)
            self.assertIn(message, result.stderr)


class Segment(WithFolder):
    def test_mask_is_the_golden_one_in_both_contexts(self):
        golden = zlib.decompress((DATA / "golden_mask.zlib").read_bytes())
        for context in ("image", "tiles"):
            result = self.segment(self.image, "--context", context, "--precision", "float32")
            self.assertEqual(result.returncode, 0, result.stderr)
            self.assertEqual(result.stderr, "")
            width, height, palette, indices = tiny_samples.read_mask(self.out / "good_mask.png")
            self.assertEqual((width, height), (150, 110))
            self.assertEqual(palette[:9], bytes([200, 180, 90, 220, 60, 50, 30, 140, 60]))
            # The order in which another processor sums may decide a tie the other way, here and there.
            different = sum(a != b for a, b in zip(indices, golden))
            self.assertLessEqual(different, len(golden) // 1000)
            self.assertEqual(set(indices), {0, 1, 2})

    def test_summary_tells_sizes_times_shares_and_the_model(self):
        result = self.segment(self.image, "--overlay")
        self.assertEqual(result.returncode, 0)
        self.assertEqual(self.results(), ["good_mask.png", "good_overlay.jpg", "summary.json"])
        summary = self.summary()
        self.assertEqual(summary["format"], "fovea-summary/1")
        self.assertEqual(summary["counts"], {"done": 1, "kept": 0, "failed": 0, "left": 0})
        self.assertEqual(len(summary["model"]["sha256"]), 64)
        self.assertEqual(summary["options"]["context"], "image")
        image = summary["images"][0]
        self.assertEqual((image["width"], image["height"]), (150, 110))
        self.assertAlmostEqual(sum(image["class_shares"].values()), 1.0, places=9)
        indices = tiny_samples.read_mask(self.out / "good_mask.png")[3]
        self.assertAlmostEqual(image["class_shares"]["roof"], indices.count(1) / len(indices), places=9)
        said = re.search(r"good\.png: 0\.0165 MP in \S+ s, \S+ MP/s: (.*)\n", result.stdout).group(1)
        largest_first = sorted(image["class_shares"].items(), key=lambda item: -item[1])
        self.assertEqual(said, ", ".join(f"{name} {share * 100:.1f} %" for name, share in largest_first))
        # One after the other: reading ahead, encoding and writing overlap with these.
        stages = ("open", "decode", "tokens", "encoder", "decoder", "labels", "read_wait", "write_wait", "finish")
        self.assertLessEqual(sum(image["stage_seconds"][stage] for stage in stages), image["seconds"] * 1.01)
        self.assertTrue(set(stages) | {"read", "write"} == set(image["stage_seconds"]), image["stage_seconds"])
        for part in ("opening", "model", "writing"):
            self.assertGreaterEqual(summary["busy"][part]["share"], 0)

    def test_formats(self):
        self.assertEqual(self.segment(self.image, "--format", "png,tif").returncode, 0)
        self.assertEqual(self.results(), ["good_mask.png", "good_mask.tif", "summary.json"])

    def test_probabilities_window_and_scale(self):
        self.assertEqual(self.segment(self.image, "--format", "png,probs", "--window", "10,20,60,50").returncode, 0)
        self.assertEqual(self.results(), ["good_mask.png", "good_probs.tif", "summary.json"])
        self.assertEqual(tiny_samples.read_mask(self.out / "good_mask.png")[:2], (60, 50))
        self.assertEqual(self.summary()["options"]["window"], [10, 20, 60, 50])
        self.assertEqual(self.segment(self.image, "--scale", "0.5").returncode, 0)
        self.assertEqual(tiny_samples.read_mask(self.out / "good_mask.png")[:2], (150, 110))
        self.assertEqual(self.summary()["images"][0]["scaled_to"], [75, 55])
        beyond = self.segment(self.image, "--window", "100,20,60,50")
        self.assertEqual(beyond.returncode, 1)
        self.assertRegex(beyond.stderr, r"^\S+good\.png: the window of 60 x 50 pixels at 100, 20 is not inside the image of 150 x 110\n$")
        unknown = self.segment(self.image, "--scale", "auto")
        self.assertEqual(unknown.returncode, 2)
        self.assertIn("does not say on what pixel sizes it was trained", unknown.stderr)
        for wrong in ("--scale=0", "--scale=1x", "--scale=", "--simplify=-1", "--window=1,2,3", "--polygon-coordinates=mars"):
            self.assertEqual(self.segment(self.image, wrong).returncode, 2, wrong)

    def test_polygon_coordinates_and_simplification(self):
        def points(*options):
            result = self.segment(self.image, "--format", "geojson", *options)
            self.assertEqual(result.returncode, 0, result.stderr)
            features = json.loads((self.out / "good.geojson").read_text())["features"]
            return [point for feature in features for ring in feature["geometry"]["coordinates"] for point in ring]
        exact, simple = points("--simplify", "0"), points("--simplify", "3")
        self.assertGreater(len(exact), len(simple))
        self.assertTrue(all(x == int(x) and y == int(y) for x, y in exact))
        nowhere = self.segment(self.image, "--format", "geojson", "--polygon-coordinates", "epsg4326")
        self.assertEqual(nowhere.returncode, 1)
        self.assertEqual(nowhere.stderr.count("\n"), 1, nowhere.stderr)

    def test_bad_inputs_among_good_ones(self):
        text = self.folder / "text.png"
        text.write_text("no image\n" * 40)
        cut = self.folder / "cut.png"
        cut.write_bytes(self.image.read_bytes()[:3000])
        empty = self.folder / "empty"
        empty.mkdir()
        missing = self.folder / "missing.tif"
        result = self.segment(text, cut, empty, missing, self.image)
        self.assertEqual(result.returncode, 1)
        self.assertEqual(self.results(), ["good_mask.png", "summary.json"])
        lines = result.stderr.splitlines()
        self.assertEqual(len(lines), 4, result.stderr)
        for path in (text, cut, empty, missing):
            self.assertEqual(sum(line.startswith(f"{path}: ") for line in lines), 1, result.stderr)
        summary = self.summary()
        self.assertEqual(summary["counts"], {"done": 1, "kept": 0, "failed": 4, "left": 0})
        self.assertEqual({failure["input"] for failure in summary["failures"]}, {str(path) for path in (text, cut, empty, missing)})

    def test_on_error_stop(self):
        bad = self.folder / "a_bad.png"
        bad.write_text("no image\n")
        result = self.segment(bad, self.image, "--on-error", "stop")
        self.assertEqual(result.returncode, 1)
        self.assertEqual(self.results(), ["summary.json"])
        self.assertEqual(self.summary()["counts"], {"done": 0, "kept": 0, "failed": 1, "left": 1})

    def test_names_that_collide_keep_their_folders(self):
        for name in ("a/1.png", "b/1.png", "b/2.png"):
            tiny_samples.write_png(self.folder / "in" / name, 40, 30)
        self.assertEqual(self.segment(self.folder / "in").returncode, 0)
        self.assertEqual(self.results(), ["2_mask.png", "a/1_mask.png", "b/1_mask.png", "summary.json"])

    def test_results_beside_the_images_are_no_images(self):
        self.out.mkdir()
        shutil.copy(self.image, self.out / "a.png")
        for _ in range(2):
            result = self.segment(self.out / "*.png", "--overlay")
            self.assertEqual(result.returncode, 0, result.stderr)
            self.assertEqual(self.results(), ["a.png", "a_mask.png", "a_overlay.jpg", "summary.json"])
        self.assertIn(": 1 of the files named are results of earlier runs, and left out", result.stderr)
        result = self.segment(self.out)
        self.assertEqual(result.stderr, f"{self.out}: is the output folder, where no images are looked for\n")

    def test_names_with_line_breaks_stay_on_one_line(self):
        name = "two\nlines\x1b[31m.png"
        shutil.copy(self.image, self.folder / name)
        (self.folder / ("bad" + name)).write_text("no image")
        result = self.segment(self.folder / name, self.folder / ("bad" + name))
        self.assertIn("two\\nlines\\x1b[31m.png: ", result.stdout)
        self.assertEqual(result.stderr.count("\n"), 1, result.stderr)
        self.assertNotIn("\x1b", result.stdout + result.stderr)
        self.assertIn("two\nlines\x1b[31m_mask.png", self.results())

    def test_events(self):
        events = self.folder / "events.jsonl"
        bad = self.folder / "bad.png"
        bad.write_text("no image\n")
        self.segment(bad, self.image, "--events", events)
        lines = [json.loads(line) for line in events.read_text().splitlines()]
        self.assertEqual([line["event"] for line in lines],
                         ["started", "image_started", "image_failed", "image_started", "image_done", "finished"])
        self.assertTrue(all("time" in line for line in lines))
        self.assertIn("class_shares", lines[4])

    def test_output_folder_that_cannot_be(self):
        (self.folder / "file").write_text("x")
        result = fovea("segment", self.image, "-o", self.folder / "file" / "out", "--model", self.model)
        self.assertEqual(result.returncode, 3)
        self.assertEqual(result.stderr.count("\n"), 1, result.stderr)

    def test_too_little_memory_is_a_sentence(self):
        result = self.segment(self.image, "--max-memory", "1M")
        self.assertEqual(result.returncode, 1)
        self.assertRegex(result.stderr, r"^\S+good\.png: needs \d+ MB of host memory besides the \d+ MB in use, but only 0 MB are available; try .*tiles.*\n$")

    def test_little_memory_takes_shorter_bands_and_gives_the_same_mask(self):
        wide = tiny_samples.write_png(self.folder / "wide.png", 1000, 600)
        self.assertEqual(self.segment(wide).returncode, 0)
        expected = (self.out / "wide_mask.png").read_bytes()
        rows = set()
        needed, in_use = map(int, re.search(r"needs (\d+) MB of host memory besides the (\d+) MB", self.segment(wide, "--max-memory", "1M").stderr).groups())
        for limit in ("1GB", f"{in_use * 10**6 + int((needed + 25) * 10**6 / 0.9)}B"):
            result = self.segment(wide, "--max-memory", limit, "-v")
            self.assertEqual(result.returncode, 0, result.stderr)
            rows.add(re.search(r"plan: .* bands of (\d+) and (\d+) token rows", result.stdout + result.stderr).groups())
            self.assertEqual((self.out / "wide_mask.png").read_bytes(), expected)
        self.assertEqual(len(rows), 2, rows)

    def test_interrupt_leaves_nothing_half_written(self):
        large, events = tiny_samples.write_png(self.folder / "large.png", 1200, 900), self.folder / "events.jsonl"
        command = [PROGRAM, "segment", large, "-o", self.out, "--model", self.model, "--events", events, "--context", "tiles",
                   "--tile", "64", "--overlap", "16", "--threads", "1"]
        process = subprocess.Popen(list(map(str, command)), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        deadline = time.monotonic() + 60
        while not (events.exists() and "image_started" in events.read_text()) and time.monotonic() < deadline:
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
        self.assertEqual(process.returncode, 130)
        self.assertEqual(self.results(), ["summary.json"])
        self.assertEqual(self.summary()["counts"]["left"], 1)


class Folders(WithFolder):
    def setUp(self):
        super().setUp()
        for number in range(5):
            tiny_samples.write_png(self.folder / "in" / f"{number}.png", 40 + number, 30, seed=number)

    def masks(self):
        return {name: (self.out / name).read_bytes() for name in self.files() if name.endswith("_mask.png")}

    def test_resume_keeps_what_is_whole_and_redoes_the_rest(self):
        self.assertEqual(self.segment(self.folder / "in").returncode, 0)
        before = self.masks()
        self.assertEqual(len(before), 5)
        (self.out / "1_mask.png").write_bytes(b"damaged")
        (self.out / "2_mask.png").unlink()
        os.utime(self.folder / "in" / "3.png", ns=(1, 1))
        result = self.segment(self.folder / "in", "--resume")
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertEqual(self.summary()["counts"], {"done": 3, "kept": 2, "failed": 0, "left": 0})
        self.assertEqual(len(self.summary()["images"]), 5)
        self.assertEqual(self.masks(), before)

    def test_resume_with_other_options_does_all_again(self):
        self.segment(self.folder / "in")
        self.segment(self.folder / "in", "--resume", "--context", "tiles")
        self.assertEqual(self.summary()["counts"]["done"], 5)

    def test_torn_and_damaged_journal_lines_count_as_not_written(self):
        self.segment(self.folder / "in")
        journal = self.out / "journal.jsonl"
        lines = journal.read_text().splitlines()
        lines[1] = lines[1].replace('"width":41', '"width":42')
        journal.write_text("\n".join(lines)[:-20])
        self.assertEqual(self.segment(self.folder / "in", "--resume").returncode, 0)
        self.assertEqual(self.summary()["counts"], {"done": 2, "kept": 3, "failed": 0, "left": 0})
        self.segment(self.folder / "in", "--resume")
        self.assertEqual(self.summary()["counts"]["kept"], 5)

    def test_shards_are_disjoint_and_complete(self):
        done = []
        for index in (1, 2, 3):
            self.assertEqual(self.segment(self.folder / "in", "--shard", f"{index}/3").returncode, 0)
            summary = json.loads((self.out / f"summary-{index}-of-3.json").read_text())
            done += [image["input"] for image in summary["images"]]
        self.assertEqual(sorted(done), sorted(str(self.folder / "in" / f"{number}.png") for number in range(5)))
        self.assertEqual(self.segment(self.folder / "in", "--resume").returncode, 0)
        self.assertEqual(self.summary()["counts"]["kept"], 5)
        self.assertEqual(self.segment(self.folder / "in", "--shard", "4/3").returncode, 2)

    def test_a_second_run_on_the_same_folder_is_refused(self):
        self.out.mkdir()
        with open(self.out / ".fovea.lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            result = self.segment(self.folder / "in")
        self.assertEqual(result.returncode, 3)
        self.assertEqual(result.stderr, f"{self.out}: another run writes to this folder\n")

    def test_max_failures(self):
        for number in range(3):
            (self.folder / "in" / f"00{number}.png").write_text("no image\n")
        self.assertEqual(self.segment(self.folder / "in", "--max-failures", "2").returncode, 1)
        self.assertEqual(self.summary()["counts"]["failed"], 2)

    def test_vector_outputs(self):
        self.assertEqual(self.segment(self.image, "--format", "cog,geojson,coco").returncode, 0)
        self.assertEqual(self.results(), ["good.geojson", "good_coco.json", "good_mask.tif", "summary.json"])
        polygons = json.loads((self.out / "good.geojson").read_text())
        self.assertEqual(polygons["type"], "FeatureCollection")
        # Regions thinner than the simplification may vanish, and nothing is counted twice.
        self.assertLessEqual(sum(feature["properties"]["area_pixels"] for feature in polygons["features"]), 150 * 110)
        self.assertEqual({feature["properties"]["name"] for feature in polygons["features"]}, {"ground", "roof", "tree"})
        self.assertEqual(json.loads((self.out / "good_coco.json").read_text())["images"][0]["file_name"], "good.png")


if __name__ == "__main__":
    unittest.main()
