"""Names that every system takes, and nothing overwritten."""

from __future__ import annotations

import subprocess
import sys
import unicodedata
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from comfy_nb.saving import safe_name, write_new


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("ComfyUI_00001_.png", "ComfyUI_00001_.png"),
        ("Grüße 猫 😀.png", "Grüße 猫 😀.png"),
        ("../../etc/passwd", "passwd"),
        ("C:\\Windows\\x.png", "x.png"),
        ("a:b*?.png", "a_b__.png"),
        ("a\x1b[31m\r\nb\0.png", "a[31mb.png"),
        ("photo\u202egnp.exe", "photognp.exe"),
        ("a\u200b\ufeff\u2066b.png", "ab.png"),
        ("a\ud800.png", "a.png"),
        (".bashrc", "bashrc"),
        ("...", "output"),
        ("", "output"),
        ("\x07\u202e", "output"),
        ("a.png. . ", "a.png"),
        ("-rf", "_-rf"),
        ("~root", "_~root"),
        ("CON", "_CON"),
        ("con.png", "_con.png"),
        ("Aux .tar.gz", "_Aux .tar.gz"),
        ("com¹.txt", "_com¹.txt"),
        ("LPT9", "_LPT9"),
        ("conin$", "_conin$"),
        ("console.png", "console.png"),
        ("x" * 300 + ".png", "x" * 196 + ".png"),
        ("猫" * 100 + ".png", "猫" * 65 + ".png"),
        ("a." + "x" * 300, "a." + "x" * 198),
        ("e\u0301.png", "\u00e9.png"),
    ],
)
def test_a_name_is_safe_on_every_system(name: str, safe: str) -> None:
    assert safe_name(name) == safe


@given(st.text(max_size=400), st.sampled_from(["", ".png", ".", " ", "/x", "\\", ".tar.gz"]))
@example("con", ".png")
@example("x" * 199, ".")
def test_any_name_is_safe(name: str, ending: str) -> None:
    made = safe_name(name + ending)
    assert 0 < len(made.encode()) <= 201
    assert made == made.strip()
    assert not made.startswith((".", "-", "~"))
    assert not made.endswith((".", " "))
    assert not set(made) & set('<>:"/\\|?*')
    assert not {unicodedata.category(c) for c in made} & {"Cc", "Cf", "Cs", "Zl", "Zp"}
    assert made.partition(".")[0].strip().upper() not in {"CON", "PRN", "AUX", "NUL", "COM1", "LPT1"}
    assert safe_name(made) == made


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    paths = [
        write_new(tmp_path, name, name.encode()) for name in ("a.png", "a.png", "a.png", "b", "b", "c.tar.gz")
    ]
    assert [path.name for path in paths] == ["a.png", "a-1.png", "a-2.png", "b", "b-1", "c.tar.gz"]
    (tmp_path / "d.png").mkdir()
    (tmp_path / "e.png").symlink_to(tmp_path / "nowhere")
    assert write_new(tmp_path, "d.png", b"").name == "d-1.png"
    assert write_new(tmp_path, "e.png", b"").name == "e-1.png"
    assert not (tmp_path / "nowhere").exists()


def test_a_write_that_fails_leaves_no_half_file(tmp_path: Path) -> None:
    program = f"""
import pathlib, resource, signal
from comfy_nb.saving import write_new
folder = pathlib.Path({str(tmp_path)!r})
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    write_new(folder, "a.png", bytes(200_000))
except OSError as error:
    print(error.strerror)
"""
    result = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=True
    )
    assert result.stdout.strip() == "File too large"
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(FileNotFoundError):
        write_new(tmp_path / "missing", "a", b"")
