"""`asyncio.run()` in a cell, in kernels of their own: what is patched stays patched."""

import pytest

from tests.kernel.conftest import LiveKernel
from tests.kernel.venvs import python_for

ALLOW = """
from comfy_nb import allow_nested_asyncio
from comfy_nb.errors import NestingError
try:
    print(allow_nested_asyncio())
except NestingError as error:
    print("refused:", error)
"""
WITHOUT_THE_SUCCESSOR = "import sys; sys.modules['nest_asyncio2'] = None\n"
RUN = """
async def main():
    await asyncio.sleep(0.05)
    return "nested"
ran.append(asyncio.run(main()))
"""


@pytest.fixture
def fresh(tmp_path):
    """Start a kernel of a version, for this test alone."""
    started = []

    def start(version):
        kernel = LiveKernel(python_for(version), tmp_path)
        started.append(kernel)
        kernel.prepare()
        kernel.run("ran = []")
        return kernel

    yield start
    for kernel in started:
        kernel.close()


@pytest.mark.parametrize(
    ("version", "before", "used"),
    [("6.31.0", WITHOUT_THE_SUCCESSOR, "nest_asyncio has"), ("7.4.0", "", "nest_asyncio2 has")],
    ids=["6.31.0", "7.4.0"],
)
def test_asyncio_run_works_in_a_cell_and_queued_cells_still_run(fresh, version, before, used):
    kernel = fresh(version)
    assert used in kernel.run(before + ALLOW)
    cells = [kernel.start(code) for code in (RUN, "ran.append(1)", "ran.append(2)")]
    for cell in cells:
        assert not kernel.finish(cell).error
    assert kernel.value("ran") == ["nested", 1, 2]
    assert "already" in kernel.run(ALLOW)
    running = kernel.start("w = Waiter(); say('waiting'); w.wait(5)")  # and our own waits
    kernel.says("waiting")
    kernel.heard(kernel.click("w.set()"))
    kernel.finish(running)


def test_in_ipykernel_7_the_first_package_is_refused_and_nothing_is_patched(fresh):
    kernel = fresh("7.2.0")
    said = kernel.run("before = asyncio.run\n" + WITHOUT_THE_SUCCESSOR + ALLOW)
    assert said.startswith("refused: nest_asyncio silently drops queued cells")
    kernel.run("assert asyncio.run is before")
