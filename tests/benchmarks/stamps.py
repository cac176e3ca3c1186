"""Pictures that say in their pixels which they are, and how a page reads that from what it has painted.

Every picture is 512 pixels square and about 40 kB of JPEG, as previews are, and costs a browser what those cost.
Along its upper edge are 16 squares, dark or light: a light one, a dark one, 13 bits of the number, and their parity.
"""

import io
from functools import cache

from PIL import Image

SIZE = 512
SQUARE = SIZE // 16
BITS = 13


@cache
def picture(number: int) -> bytes:
    """Picture `number`, a JPEG."""
    image = _background().copy()
    for place, light in enumerate(_squares(number)):
        image.paste(235 if light else 20, (place * SQUARE, 0, (place + 1) * SQUARE, SQUARE))
    file = io.BytesIO()
    image.convert("RGB").save(file, "JPEG", quality=75)
    return file.getvalue()


def _squares(number: int) -> list[bool]:
    bits = [bool(number >> place & 1) for place in range(BITS - 1, -1, -1)]
    return [True, False, *bits, sum(bits) % 2 == 1]


@cache
def _background() -> Image.Image:
    """Soft noise, as dense as a photograph."""
    coarse = Image.effect_noise((SIZE // 8, SIZE // 8), 90).resize((SIZE, SIZE), Image.Resampling.BICUBIC)
    return Image.blend(coarse, Image.effect_noise((SIZE, SIZE), 12), 0.5)


# Watches every picture in the outputs of the page, in each of its animation frames after it was painted, and keeps
# [which of them, number, Date.now()] of each that is new. `stamps.gaps` has the time between animation frames.
# A canvas has been painted by then. An <img> gives its pixels as soon as it has loaded, which may be a frame (17 ms)
# before it is painted: what is said of those that use one is that much too good.
WATCH = """() => {
    const strip = new OffscreenCanvas(16, 1).getContext("2d", { willReadFrequently: true });
    const read = (element) => {
        const width = element.naturalWidth ?? element.width;
        if (width !== 512) return null;
        strip.drawImage(element, 0, 8, 512, 16, 0, 0, 16, 1);
        const pixels = strip.getImageData(0, 0, 16, 1).data;
        const bits = Array.from({ length: 16 }, (_, i) => Number(pixels[4 * i] > 127));
        const parity = bits.slice(2, 15).reduce((sum, bit) => sum + bit, 0) % 2;
        if (bits[0] !== 1 || bits[1] !== 0 || bits[15] !== parity) return null;
        return bits.slice(2, 15).reduce((number, bit) => 2 * number + bit, 0);
    };
    const stamps = { painted: [], shown: new Map(), gaps: [], last: 0 };
    const afterPaint = new MessageChannel();
    afterPaint.port1.onmessage = () => {
        const outputs = [...document.querySelectorAll(".jp-OutputArea")].filter((area) => area.checkVisibility());
        const pictures = outputs.flatMap((area) => [...area.querySelectorAll("canvas.cnb-canvas, img")]);
        pictures.forEach((element, index) => {
            const number = read(element);
            if (number === null || stamps.shown.get(index) === number) return;
            stamps.shown.set(index, number);
            stamps.painted.push([index, number, Date.now()]);
        });
    };
    const tick = (now) => {
        if (stamps.last) stamps.gaps.push(now - stamps.last);
        stamps.last = now;
        afterPaint.port2.postMessage(null);
        requestAnimationFrame(tick);
    };
    requestAnimationFrame(tick);
    window.stamps = stamps;
}"""
