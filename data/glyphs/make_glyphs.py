"""Render the glyphs of handwriting fonts into ``glyphs.npz``, which the detector is trained on.

    pip install fonttools brotli pillow
    python data/glyphs/make_glyphs.py

The fonts are npm packages (``@fontsource/NAME``), fetched with ``npm pack``; all are under the SIL
Open Font License. FONTS.md lists them, and which of them are for training and which for tests.
"""

from __future__ import annotations

import io
import json
import subprocess
import tarfile
import tempfile
from pathlib import Path

import numpy as np
from fontTools.ttLib import TTFont
from PIL import Image, ImageDraw, ImageFont

HERE = Path(__file__).parent

TEST = """
annie-use-your-telescope bad-script caveat cedarville-cursive dekko edu-qld-beginner
fuzzy-bubbles gaegu give-you-glory gochi-hand grape-nuts handlee indie-flower itim kalam
klee-one la-belle-aurore long-cang loved-by-the-king marck-script my-soul neucha
nothing-you-could-do pangolin reenie-beanie ruge-boogie sedgwick-ave shadows-into-light-two
sue-ellen-francisco waiting-for-the-sunrise zeyada
"""

TRAIN = """
allura amatic-sc architects-daughter averia-libre babylonica beth-ellen bilbo-swash-caps
birthstone-bounce bonheur-royale borel caveat-brush comforter cookie covered-by-your-grace
crimson-text darumadrop-one dawning-of-a-new-day delicious-handrawn delius east-sea-dokdo
edu-nsw-act-foundation edu-sa-beginner edu-tas-beginner edu-vic-wa-nt-beginner ephesis estonia
explora fasthand gamja-flower gloria-hallelujah grechen-fuemen gwendolyn hachi-maru-pop
hi-melody hurricane ingrid-darling inspiration just-me-again-down-here kavivanar kolker-brush
kristi league-script licorice life-savers liu-jian-mao-cao love-ya-like-a-sister mali mansalva
meddon moon-dance mrs-saint-delafield mynerve nanum-brush-script nanum-pen-script oooh-baby
over-the-rainbow pacifico patrick-hand playpen-sans poor-story reem-kufi rouge-script
sacramento send-flowers shadows-into-light shantell-sans short-stack single-day splash
square-peg sriracha swanky-and-moo-moo the-girl-next-door tillana vibur vujahday-script
water-brush whisper yomogi zen-kurenaido zhi-mang-xing
"""

CHARACTERS = "".join(map(chr, range(33, 127))) + "£€§°×÷ÄÖÜäöüßàçèéñ"

DIGIT_HEIGHT = 40
"""Height of the digits, pixels."""

LEVELS = 16
"""Grey levels of a glyph; more make the file larger, and nothing better."""


def fetch(name: str, folder: Path) -> tuple[TTFont, str, str]:
    """A font in its regular weight, its version, and its copyright notice."""
    subprocess.run(
        ["npm", "pack", "--silent", f"@fontsource/{name}"], cwd=folder, check=True,
        stdout=subprocess.DEVNULL,
    )  # fmt: skip
    (package,) = folder.glob(f"fontsource-{name}-[0-9]*.tgz")
    with tarfile.open(package) as tar:

        def read(path: str) -> bytes:
            file = tar.extractfile(f"package/{path}")
            assert file is not None
            return file.read()

        about = json.loads(read("package.json"))
        if about["license"] != "OFL-1.1":
            raise SystemExit(f"{name}: has the licence {about['license']}")
        names = tar.getnames()
        weights = [w for w in (400, 300) if f"package/files/{name}-latin-{w}-normal.woff2" in names]
        font = TTFont(io.BytesIO(read(f"files/{name}-latin-{weights[0]}-normal.woff2")))
    notice = str(font["name"].getDebugName(0) or "").strip().splitlines()[0]
    return font, about["version"], notice


def render(font: TTFont) -> dict[str, tuple[np.ndarray, int, int, int]]:
    """Each character: its ink, left and top from the pen's position on the baseline, advance."""
    font.flavor = None
    file = io.BytesIO()
    font.save(file)

    def load(size: int) -> ImageFont.FreeTypeFont:
        file.seek(0)
        return ImageFont.truetype(io.BytesIO(file.getvalue()), size)

    box = load(200).getbbox("0123456789", anchor="ls")
    sized = load(round(200 * DIGIT_HEIGHT / (box[3] - box[1])))
    known = font.getBestCmap()
    glyphs = {}
    for character in CHARACTERS:
        if ord(character) not in known:
            continue
        left, top, right, bottom = map(int, sized.getbbox(character, anchor="ls"))
        if right <= left or bottom <= top or max(right - left, bottom - top) > 250:
            continue
        image = Image.new("L", (right - left + 4, bottom - top + 4))
        ImageDraw.Draw(image).text((2 - left, 2 - top), character, 255, sized, anchor="ls")
        step = 255 // (LEVELS - 1)
        ink = (np.asarray(image).astype(np.int32) + step // 2) // step * step
        glyphs[character] = (
            ink.astype(np.uint8),
            left - 2,
            top - 2,
            round(sized.getlength(character)),
        )
    return glyphs


def main() -> None:
    """Fetch, render and write."""
    lines, inks, table = [], [], []
    fonts = [(name, "train") for name in TRAIN.split()] + [(name, "test") for name in TEST.split()]
    with tempfile.TemporaryDirectory() as folder:
        for number, (name, split) in enumerate(sorted(fonts)):
            font, version, notice = fetch(name, Path(folder))
            for character, (ink, left, top, advance) in render(font).items():
                table.append((number, ord(character), *ink.shape, left, top, advance))
                inks.append(ink.ravel())
            lines.append(f"| {name} | {split} | {version} | {notice.replace('|', '/')} |")
            print(f"{name}: {sum(row[0] == number for row in table)} glyphs")
    names, splits = zip(*sorted(fonts), strict=True)
    np.savez_compressed(
        HERE / "glyphs.npz", names=np.array(names), splits=np.array(splits),
        glyphs=np.array(table, np.int32), ink=np.concatenate(inks),
    )  # fmt: skip
    (HERE / "FONTS.md").write_text(
        "# Handwriting fonts\n\n"
        "`glyphs.npz` has images of their characters, rendered by `make_glyphs.py`; the fonts "
        "themselves are not part of digitkit. Each is under the\n"
        "[SIL Open Font License 1.1](OFL-1.1.txt). Fonts for tests are used by "
        "no training.\n\n| font | used for | version | copyright |\n|---|---|---|---|\n"
        + "\n".join(lines)
        + "\n",
        "utf-8",
    )


if __name__ == "__main__":
    main()
