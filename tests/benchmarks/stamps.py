"""Pictures that say which they are, and a page that tells when it has presented which.

Every picture is 512 pixels square and about 40 kB of JPEG, as previews are, and costs a browser what those cost. Its
number stands in a comment at the beginning of the file, so that reading it costs the page nothing.
"""

import io
from functools import cache

from PIL import Image

SIZE = 512


@cache
def picture(number: int) -> bytes:
    """Picture `number`, a JPEG."""
    image = _background().copy()
    image.paste(number % 256, (number % SIZE, 0, number % SIZE + 8, SIZE))  # no two are the same
    file = io.BytesIO()
    image.save(file, "JPEG", quality=75, comment=f"#{number};")
    return file.getvalue()


@cache
def _background() -> Image.Image:
    """Soft noise, as dense as a photograph."""
    coarse = Image.effect_noise((SIZE // 8, SIZE // 8), 90).resize((SIZE, SIZE), Image.Resampling.BICUBIC)
    return Image.blend(coarse, Image.effect_noise((SIZE, SIZE), 12), 0.5).convert("RGB")


# Keeps [which image of the outputs, number, when] of each new picture in them. When is ms since the epoch, and what the
# browser itself reports by its Element Timing: when the frame with the picture in it was presented, so after the
# decoding and all else. `stamps.gaps` has the time between animation frames.
# The number is in the first bytes, which are part of a data: address; those of a Blob are read as its address is made.
WATCH = """() => {
    const stamps = { painted: [], shown: new Map(), gaps: [], last: 0 };
    const numberOf = (bytes) => Number(/#(\\d+);/.exec(bytes)?.[1] ?? NaN);
    const blobs = new Map();
    const make = URL.createObjectURL;
    URL.createObjectURL = (blob) => {
        const url = make.call(URL, blob);
        blob.slice(0, 64).text().then((text) => blobs.set(url, numberOf(text)));
        return url;
    };
    const images = [...document.querySelectorAll(".jp-OutputArea img")];
    images.forEach((image, index) => {
        image.setAttribute("elementtiming", index);
    });
    new PerformanceObserver((list) => {
        for (const { identifier, url, renderTime } of list.getEntries()) {
            const [, base64] = url.split(";base64,");
            const number = base64 ? numberOf(atob(base64.slice(0, base64.length & ~3))) : blobs.get(url);
            const index = Number(identifier);
            if (!(number >= 0) || stamps.shown.get(index) === number) continue;
            stamps.shown.set(index, number);
            stamps.painted.push([index, number, performance.timeOrigin + renderTime]);
        }
    }).observe({ type: "element" });
    const tick = (now) => {
        if (stamps.last) stamps.gaps.push(now - stamps.last);
        stamps.last = now;
        requestAnimationFrame(tick);
    };
    requestAnimationFrame(tick);
    window.stamps = stamps;
}"""
