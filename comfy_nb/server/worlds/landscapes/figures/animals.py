"""Cats, a fox and a deer."""

from __future__ import annotations

from comfy_nb.server.worlds.landscapes.canvas import arc
from comfy_nb.server.worlds.landscapes.figures.stage import Stage


def _cat(stage: Stage, coat: str, dark: str, light: str, eyes: str) -> None:
    """A sitting cat, seen from the front, its tail curled to the right."""
    stage.shadow(0.11)
    tail = [(0.06, -0.02), (0.12, -0.022), (0.152, -0.06), (0.142, -0.11), (0.118, -0.128)]
    stage.fill(stage.outline().line(tail, 0.031), dark)
    stage.fill(stage.outline().line(tail[:4], 0.02), coat)
    body = stage.outline().ellipse(0.0, -0.078, 0.088, 0.086).ellipse(0.0, -0.135, 0.062, 0.075)
    body.box(-0.088, -0.08, 0.088, 0.002, 0.03)
    stage.fill(body, coat)
    stage.shade(body, dark, stage.outline().ellipse(0.09, -0.06, 0.055, 0.1), 0.75)
    stage.shade(body, light, stage.outline().ellipse(0.0, -0.125, 0.034, 0.052), 0.85)
    paws = stage.outline().ellipse(-0.034, -0.006, 0.03, 0.017).ellipse(0.034, -0.006, 0.03, 0.017)
    stage.fill(paws, light)
    stage.fill(stage.outline().line([(0.0, -0.075), (0.0, -0.012)], 0.005), dark)
    for way in (-1, 1):
        ear = [(way * 0.076, -0.232), (way * 0.068, -0.325), (way * 0.014, -0.278)]
        stage.fill(stage.outline().polygon(ear), coat if way < 0 else dark)
        stage.fill(
            stage.outline().polygon([(way * 0.064, -0.25), (way * 0.061, -0.302), (way * 0.03, -0.275)]),
            "#f0a0a0",
            0.85,
        )
    head = stage.outline().ellipse(0.0, -0.222, 0.084, 0.068)
    stage.fill(head, coat)
    stage.shade(head, dark, stage.outline().ellipse(0.09, -0.2, 0.05, 0.08), 0.6)
    stage.fill(
        stage.outline().ellipse(-0.016, -0.196, 0.024, 0.018).ellipse(0.016, -0.196, 0.024, 0.018), light
    )
    stage.fill(
        stage.outline().ellipse(-0.034, -0.23, 0.0185, 0.0195).ellipse(0.034, -0.23, 0.0185, 0.0195), eyes
    )
    stage.fill(
        stage.outline().ellipse(-0.033, -0.23, 0.0075, 0.0165).ellipse(0.033, -0.23, 0.0075, 0.0165),
        "*14121c",
    )
    stage.fill(stage.outline().ellipse(-0.038, -0.237, 0.0045).ellipse(0.029, -0.237, 0.0045), "*ffffff")
    stage.fill(stage.outline().polygon([(-0.009, -0.21), (0.009, -0.21), (0.0, -0.199)]), "#e87f86")
    whiskers = stage.outline()
    for way in (-1, 1):
        for rise in (-0.010, 0.004):
            whiskers.line([(way * 0.035, -0.197), (way * 0.105, -0.197 + rise)], 0.0025)
    stage.fill(whiskers, stage.ink.mix(light, "*ffffff", 0.4), 0.7)


def black_cat(stage: Stage) -> None:
    """A black cat with yellow eyes."""
    _cat(stage, "#34313f", "#1c1a24", "#4d4a5c", "*ffd94a")


def orange_cat(stage: Stage) -> None:
    """A ginger cat with green eyes and stripes."""
    _cat(stage, "#ef9440", "#c2652a", "#fff0dc", "*7fd06a")
    stripes = stage.outline()
    for x in (-0.022, 0.0, 0.022):
        stripes.line([(x, -0.286), (x * 0.8, -0.262)], 0.008)
    stage.fill(stripes, "#b5561f")


def white_cat(stage: Stage) -> None:
    """A white cat with blue eyes."""
    _cat(stage, "#fbf7f2", "#cfc6cf", "#ffffff", "*5ab4f0")


def fox(stage: Stage) -> None:
    """A sitting fox, its brush around its feet."""
    stage.shadow(0.13)
    brush = stage.outline().line([(0.05, -0.03), (0.115, -0.034), (0.155, -0.075), (0.16, -0.13)], 0.056)
    stage.fill(brush, "#d9652c")
    stage.shade(brush, "#fff2e2", stage.outline().ellipse(0.165, -0.15, 0.05, 0.04))
    body = stage.outline().polygon(
        [(-0.085, 0.0), (-0.08, -0.09), (-0.045, -0.19), (0.045, -0.19), (0.085, -0.09), (0.09, 0.0)]
    )
    body.ellipse(0.0, -0.05, 0.094, 0.055)
    stage.fill(body, "#e87a35")
    stage.shade(
        body,
        "#b5501f",
        stage.outline().polygon([(0.035, -0.2), (0.2, -0.2), (0.2, 0.02), (0.045, 0.02)]),
        0.7,
    )
    stage.fill(
        stage.outline().polygon(
            [(-0.04, -0.185), (0.04, -0.185), (0.026, -0.11), (0.0, -0.07), (-0.026, -0.11)]
        ),
        "#fff2e2",
    )
    legs = stage.outline().box(-0.05, -0.07, -0.014, 0.003, 0.012).box(0.014, -0.07, 0.05, 0.003, 0.012)
    stage.fill(legs, "#4a2c2a")
    for way in (-1, 1):
        stage.fill(
            stage.outline().polygon([(way * 0.09, -0.262), (way * 0.078, -0.362), (way * 0.018, -0.29)]),
            "#e87a35" if way < 0 else "#c2602a",
        )
        stage.fill(
            stage.outline().polygon([(way * 0.08, -0.31), (way * 0.078, -0.362), (way * 0.05, -0.328)]),
            "#3a2426",
        )
    face = [
        (-0.1, -0.25),
        (-0.06, -0.298),
        (0.06, -0.298),
        (0.1, -0.25),
        (0.03, -0.187),
        (0.0, -0.168),
        (-0.03, -0.187),
    ]
    head = stage.outline().polygon(face)
    stage.fill(head, "#e87a35")
    stage.shade(
        head,
        "#c2602a",
        stage.outline().polygon([(0.03, -0.31), (0.2, -0.31), (0.2, -0.1), (0.0, -0.16)]),
        0.55,
    )
    cheeks = stage.outline().polygon(
        [
            (-0.1, -0.25),
            (-0.045, -0.245),
            (0.0, -0.2),
            (0.045, -0.245),
            (0.1, -0.25),
            (0.03, -0.187),
            (0.0, -0.168),
            (-0.03, -0.187),
        ]
    )
    stage.fill(cheeks, "#fff2e2")
    stage.fill(
        stage.outline()
        .ellipse(-0.037, -0.248, 0.0105, 0.012)
        .ellipse(0.037, -0.248, 0.0105, 0.012)
        .ellipse(0.0, -0.176, 0.014, 0.011),
        "*1c1518",
    )
    stage.fill(stage.outline().ellipse(-0.04, -0.252, 0.0035).ellipse(0.034, -0.252, 0.0035), "*ffffff")


def deer(stage: Stage) -> None:
    """A standing stag, seen from the side."""
    stage.shadow(0.15)
    for x, tone in ((0.082, "#75492f"), (-0.052, "#75492f"), (0.102, "#9c6340"), (-0.076, "#9c6340")):
        leg = [
            (x - 0.014, -0.14),
            (x + 0.016, -0.14),
            (x + 0.008, -0.06),
            (x + 0.009, 0.002),
            (x - 0.008, 0.002),
            (x - 0.006, -0.06),
        ]
        stage.fill(stage.outline().polygon(leg), tone)
        stage.fill(stage.outline().box(x - 0.009, -0.012, x + 0.011, 0.003), "#3a2622")
    body = (
        stage.outline()
        .ellipse(0.01, -0.165, 0.115, 0.05)
        .ellipse(-0.07, -0.17, 0.05, 0.055)
        .ellipse(0.085, -0.165, 0.046, 0.055)
    )
    body.polygon([(-0.108, -0.16), (-0.155, -0.278), (-0.112, -0.3), (-0.035, -0.19)])
    stage.fill(body, "#b5743f")
    stage.shade(body, "#85502f", stage.outline().ellipse(0.02, -0.118, 0.15, 0.03), 0.7)
    stage.shade(
        body,
        "#ead2b0",
        stage.outline().polygon(
            [(-0.2, -0.3), (-0.148, -0.27), (-0.108, -0.16), (-0.09, -0.13), (-0.14, -0.14)]
        ),
        0.75,
    )
    stage.fill(stage.outline().ellipse(0.128, -0.172, 0.016, 0.024), "#fff2e2")
    stage.fill(stage.outline().polygon([(-0.105, -0.29), (-0.062, -0.318), (-0.1, -0.325)]), "#9c6340")
    head = (
        stage.outline()
        .ellipse(-0.135, -0.3, 0.04, 0.031)
        .polygon([(-0.15, -0.32), (-0.212, -0.286), (-0.205, -0.266), (-0.14, -0.272)])
    )
    stage.fill(head, "#b5743f")
    stage.fill(stage.outline().ellipse(-0.207, -0.277, 0.012, 0.010), "#3a2622")
    stage.fill(stage.outline().ellipse(-0.147, -0.308, 0.0065), "*1c1518")
    antlers = stage.outline()
    for way, lean in ((-1, -0.16), (1, -0.115)):
        stem = arc(lean + way * 0.012, -0.375, 0.05, 0.06, 90, 90 - way * 110)
        antlers.line(stem, 0.0085)
        for index in (9, 15):
            x, y = stem[index]
            antlers.line([(x, y), (x + way * 0.004, y - 0.04)], 0.0065)
    stage.fill(antlers, "#e3c9a4")
    spots = stage.outline()
    for x, y in (
        (0.03, -0.19),
        (0.06, -0.175),
        (0.0, -0.185),
        (0.045, -0.16),
        (0.085, -0.19),
        (-0.03, -0.19),
    ):
        spots.ellipse(x, y, 0.0055)
    stage.fill(spots, "#f0dcc0", 0.85)
