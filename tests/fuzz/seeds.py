"""Valid files of each kind, small, made by digitkit and its libraries."""

import gzip
import io
import json
import struct
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
from support import reports

from digitkit.images.cv import cv2
from digitkit.images.decode import decode_file
from digitkit.images.samples import SAMPLE_PAGE
from digitkit.models.registry import find_model

DIGIT = np.full((24, 16, 3), 240, np.uint8)  # a 1 on paper, in colour
DIGIT[4:20, 7:10] = (90, 40, 20)

ENCODERS: tuple[tuple[str, tuple[int, ...]], ...] = (
    (".jpg", ()), (".jpg", (cv2.IMWRITE_JPEG_PROGRESSIVE, 1)), (".png", ()), (".bmp", ()),
    (".tiff", ()), (".tiff", (cv2.IMWRITE_TIFF_COMPRESSION, 1)), (".webp", ()), (".gif", ()),
    (".webp", (cv2.IMWRITE_WEBP_QUALITY, 101)), (".ppm", ()), (".jp2", ()), (".ras", ()),
    (".avif", ()), (".ppm", (cv2.IMWRITE_PXM_BINARY, 0)),
)  # fmt: skip


def images() -> list[bytes]:
    """A file of each kind that this OpenCV writes; also with alpha, 16 bits, floats and EXIF."""
    deep = DIGIT.astype(np.uint16) * 200
    pictures = [(suffix, DIGIT, options) for suffix, options in ENCODERS]
    pictures += [(".png", deep, ()), (".png", np.dstack([DIGIT, 255 - DIGIT[:, :, 0]]), ())]
    pictures += [(kind, DIGIT / np.float32(255), ()) for kind in (".hdr", ".pfm", ".tiff")]
    files = []
    for suffix, image, options in pictures:
        with suppress(cv2.error):
            done, data = cv2.imencode(suffix, image, options)
            files += [data.tobytes()] if done else []
    exif = b"Exif\0\0II*\0" + struct.pack("<IHHHIHHI", 8, 1, 0x112, 3, 1, 6, 0, 0)
    block = b"\xff\xe1" + struct.pack(">H", 2 + len(exif)) + exif
    return [*files, files[0][:2] + block + files[0][2:]]


def documents() -> list[bytes]:
    """Files of three pages, of each kind that can be written here."""
    page = cv2.cvtColor(DIGIT, cv2.COLOR_BGR2GRAY)
    shapes = [page, page[:, 2:], page[2:]]
    cv2.imwritemulti("seed.tiff", shapes)
    files = [Path("seed.tiff").read_bytes()]
    with suppress(ImportError):
        from PIL import Image

        drawn = [Image.fromarray(page)] + [Image.fromarray(np.roll(page, n, 1)) for n in (3, 6)]
        for kind, options in (("gif", {}), ("webp", {}), ("webp", {"lossless": True}), ("pdf", {})):
            buffer = io.BytesIO()
            drawn[0].save(buffer, kind, save_all=True, append_images=drawn[1:], **options)
            files.append(buffer.getvalue())
    return files


def heic_images() -> list[bytes]:
    """A HEIC image, if it can be written here."""
    try:
        import pillow_heif
    except ImportError:
        return [b"\0\0\0\x18ftypheic\0\0\0\0mif1heic"]
    buffer = io.BytesIO()
    pillow_heif.from_bytes("RGB", (16, 24), DIGIT.tobytes()).save(buffer)
    return [buffer.getvalue()]


def pages() -> list[bytes]:
    """Uncompressed pages, whose pixels mutations reach."""
    page = cv2.resize(
        cv2.cvtColor(decode_file(SAMPLE_PAGE), cv2.COLOR_BGR2GRAY), (150, 110),
        interpolation=cv2.INTER_AREA,
    )  # fmt: skip
    pictures = [(".pgm", page), (".pgm", page[:60, :100]), (".ppm", DIGIT)]
    return [cv2.imencode(suffix, picture)[1].tobytes() for suffix, picture in pictures]


def contracts() -> list[bytes]:
    """Metadata of the shipped models, JSON."""
    from digitkit.models.session import make_session

    sessions = [make_session(find_model("digits-tiny", kind)) for kind in ("int8", "fp32")]
    return [json.dumps(s.get_modelmeta().custom_metadata_map).encode() for s in sessions]


def models() -> list[bytes]:
    """Shipped models."""
    return [find_model("digits-tiny", kind).read_bytes() for kind in ("int8", "fp32")]


def settings() -> list[bytes]:
    """A service's settings, all keys."""
    return [
        b"""camera = "0"
size = "1280x720"
fps = 10
retry = inf
hold = 3
every_frame = false
model = "digits"
precision = "int8"
threads = 2
mode = "page"
orientation = 90
min_confidence = 0.9
expect = 4
pattern = "[0-9]+"
format = "jsonl"

[output]
file = "readings.jsonl"
max_mb = 1.5
keep = 2
""",
        b'model = "a/foreign.onnx"\ninput_scale = 1.0\n[output]\nfile = "/x"\n',
    ]


def profiles() -> list[bytes]:
    """A profile that is valid on this machine."""
    from digitkit.models.profiles import PROFILE_FORMAT, shipped_hashes
    from digitkit.models.session import load_onnxruntime
    from digitkit.system.machine import cpu_name

    profile = replace(
        reports.PROFILE, sha256=shipped_hashes("digits"), threads=1, cpu=cpu_name(),
        onnxruntime=load_onnxruntime().__version__,
    )  # fmt: skip
    return [json.dumps({"format": PROFILE_FORMAT, "models": {"digits": asdict(profile)}}).encode()]


GOOD_REPORT = reports.make_report(
    reports.make_variant("digits-int8", 30, paced_us=40.0),
    reports.make_variant("digits-int8", 90, name="digits-int8/b8", batch=8),
    reports.make_variant("digits-fp32", 50),
    reports.make_failed("digits-tiny-int8", "does not load"),
    findings=(reports.HOT, reports.BUSY),
)


def benchmark_reports() -> list[bytes]:
    """A report of a benchmark that never ran."""
    from digitkit.benchmark.report import encode_report

    return [encode_report(GOOD_REPORT).encode()]


def write_run(folder: Path) -> None:
    """A run folder as a finished training leaves it, with weights by chance."""
    from digitkit.training import folder as run_folder
    from digitkit.training import nets, record
    from digitkit.training.recipes import get_recipe

    recipe = get_recipe("quick")
    data = record.DatasetRecord("digits", 100, "0" * 64)
    score = {"accuracy": 0.9, "loss": 0.1, "count": 10, "mean_confidence": 0.9}
    score["calibration_error"] = 0.01
    net = nets.build_net(recipe.net)
    folder.mkdir(parents=True, exist_ok=True)
    run_folder.write_weights(folder, net, recipe.net)
    record.write_record(
        folder,
        record.RunRecord(
            format=record.FORMAT, status="complete", recipe=recipe, overrides={"epochs": "1"},
            seed=0, parameters=100, threads=1, versions={"python": "3.11"},
            machine=record.MachineRecord("Linux", "x", 2), git_revision=None, started="today",
            data=record.DataRecord("data", data, data), init=None,
            epochs=(record.EpochRecord(1, 1.0, 0.5, 1.0, 0.5, 1.0, 1.0),), best_epoch=1,
            calibration=record.CalibrationRecord("validation", 1.1, 0.6),
            validation=record.ValidationRecord(**score, temperature=1.1, min_confidence=0.6),
            test=record.FinalScoreRecord(**score, loss_uncalibrated=0.2), wall_seconds=1.0,
        ),
    )  # fmt: skip


def run_files(name: str) -> list[bytes]:
    """One file of a run folder."""
    folder = Path("run")
    if not folder.exists():
        write_run(folder)
    return [(folder / name).read_bytes()]


def idx_files() -> list[bytes]:
    """Four labels and two images as IDX, plain and gzipped."""
    labels = struct.pack(">II", 0x801, 4) + bytes(range(4))
    pictures = struct.pack(">IIII", 0x803, 2, 28, 28) + bytes(2 * 28 * 28)
    return [labels, pictures, gzip.compress(labels, mtime=0), gzip.compress(pictures, mtime=0)]


def videos() -> list[bytes]:
    """Four frames in each container that this OpenCV writes."""
    files = []
    for name, code in (("seed.avi", "MJPG"), ("seed.mp4", "mp4v"), ("seed.mkv", "MJPG")):
        size = (DIGIT.shape[1], DIGIT.shape[0])
        writer = cv2.VideoWriter(name, cv2.VideoWriter.fourcc(*code), 5.0, size)
        for level in (0, 20, 40, 60) if writer.isOpened() else ():
            writer.write(DIGIT - np.uint8(level // 2))
        writer.release()
        if Path(name).is_file():
            files.append(Path(name).read_bytes())
    return files


def containers() -> list[bytes]:
    """The beginnings of video files: AVI, MP4, MKV."""
    avi = b"RIFF" + struct.pack("<I", 100) + b"AVI LIST" + bytes(96)
    boxes = b"".join(
        struct.pack(">I4s", 8 + len(body), kind) + body
        for kind, body in ((b"ftyp", b"isom"), (b"moov", bytes(20)), (b"mdat", bytes(30)))
    )
    segment = b"\x1a\x45\xdf\xa3\x84webm\x18\x53\x80\x67\x40\x20" + bytes(32)
    return [avi, boxes, struct.pack(">I4sQ", 1, b"mdat", 24) + bytes(8) + boxes, segment]


def path_lists() -> list[bytes]:
    """Paths of files that exist or not, patterns, a folder and a link that leads to itself."""
    Path("folder/inner").mkdir(parents=True, exist_ok=True)
    image = cv2.imencode(".png", DIGIT)[1].tobytes()
    for name in ("a.png", "folder/b.png", "folder/inner/c.png", "[x].png"):
        Path(name).write_bytes(image)
    Path("broken.png").write_bytes(image[:50])
    with suppress(FileExistsError):
        Path("folder/loop.png").symlink_to("loop.png")
    return [b"a.png\nfolder\n*.png\n[x].png\nbroken.png\ngone.png\nfolder/loop.png\nf*/**\n"]
