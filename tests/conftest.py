"""What all tests share: reproducible properties, and no silent skip."""

import os

# Two BLAS threads on two busy cores wait for each other, up to twenty times longer than one works.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import pytest
from hypothesis import settings

IN_CI = bool(os.environ.get("CI"))

settings.register_profile("ci", derandomize=True, deadline=None, print_blob=True)
settings.register_profile("here", deadline=None, print_blob=True)
settings.load_profile("ci" if IN_CI else "here")


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Say loudly that tests were skipped; in CI, where everything is there, that is a failure."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    skipped = reporter.stats.get("skipped", []) if reporter else []
    if not skipped:
        return
    reporter.ensure_newline()
    reporter.write_sep("!", f"{len(skipped)} SKIPPED: what they show is not shown here", red=True, bold=True)
    if IN_CI:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
