import json
import os
import subprocess
import sys

import pytest

from comfy_nb.kernel.host import SESSION, may_be_vscode

FIRST = """
import json
from comfy_nb.widgets.board_view import BoardView, Wishes
from ipywidgets.widgets.widget import _instances
nothing = lambda *_: None
BoardView(Wishes(*[nothing] * 7))
print(json.dumps([type(each).__name__ for each in _instances.values()]))
"""


@pytest.mark.parametrize(
    ("environment", "may_be"),
    [
        ({}, True),
        ({SESSION: "work/tour.ipynb"}, False),
        ({SESSION: "tour-jvsc-0b5fd2e1.ipynb"}, True),
    ],
)
def test_a_notebook_server_says_that_it_is_one(environment, may_be):
    assert may_be_vscode(environment) == may_be


@pytest.mark.parametrize(("session", "layouts"), [("", 2), ("tour.ipynb", 1)])
def test_a_model_that_needs_no_script_comes_before_the_first_of_ours(session, layouts):
    """A layout of nobody's, before the one that every widget has."""
    ran = subprocess.run(
        [sys.executable, "-c", FIRST],
        env={**os.environ, SESSION: session},
        capture_output=True,
        text=True,
        check=True,
    )
    names = json.loads(ran.stdout)
    assert names.count("Layout") == layouts
    assert names.index("Layout") < names.index("BoardView") or layouts == 1
