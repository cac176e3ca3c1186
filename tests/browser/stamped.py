"""Jobs on a scripted server whose frames say which they are, and a page that tells which one it has painted."""

from typing import Any

WORKFLOW = {
    "3": {"class_type": "KSampler", "inputs": {}, "_meta": {"title": "KSampler"}},
    "9": {"class_type": "SaveImage", "inputs": {"images": ["3", 0]}, "_meta": {"title": "Save Image"}},
}

# The six columns of a frame of comfy_nb.testing.Frames, as a number from 0 to 63; null where there is none.
READ = """(image) => {
    if (!image || image.hidden || !image.naturalWidth) return null;
    const { naturalWidth: width, naturalHeight: height } = image;
    const strip = new OffscreenCanvas(width, 1).getContext("2d");
    strip.drawImage(image, 0, Math.floor(height / 2), width, 1, 0, 0, width, 1);
    const row = strip.getImageData(0, 0, width, 1).data;
    return [0, 1, 2, 3, 4, 5].reduce((number, i) => 2 * number + (row[4 * Math.round((i + 0.5) * width / 6)] > 127), 0);
}"""

# Keeps [ms since the epoch, number, which cell runs] of each frame that the page paints in the view of one cell.
WATCH = f"""(index) => {{
    const read = {READ};
    const panel = window.jupyterapp.shell.currentWidget;
    const frames = window.frames_ = [];
    const look = () => {{
        const number = read(document.querySelector(`.jp-Cell[data-windowed-list-index="${{index}}"] .cnb-frame`));
        if (number !== null && frames.at(-1)?.[1] !== number) {{
            const cell = panel.content.widgets.findIndex((each) => each.promptNode?.textContent.includes("*"));
            frames.push([Date.now(), number, cell]);
        }}
        requestAnimationFrame(look);
    }};
    look();
}}"""
WATCHED = "() => window.frames_"


def number(view: Any) -> int | None:
    """Which frame a view shows, modulo 64; None if it shows none."""
    return view.locator(".cnb-frame").evaluate(READ)
