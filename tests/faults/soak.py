"""A seeded soak: random schedules of faults and submits between the real client and embedded servers.

``make soak N=10000`` or ``python -m tests.faults.soak 10000 --seed 0``. Each schedule sends one to three jobs through
a `FaultyLink` while faults come at random moments; then everything is well again, and each job must end, as the
server's own diary says, with the server's own pictures. Delays of the client are shortened, in the same order.
"""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import random
import resource
import sys
import threading
import time
import uuid
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import httpx2
import psutil

from comfy_nb import events as ev
from comfy_nb.client.address import Address
from comfy_nb.client.client import Client
from comfy_nb.loop import get_loop
from comfy_nb.record import Record, Request
from comfy_nb.steps import Recorder
from comfy_nb.testing import Answer, FaultyLink
from comfy_nb.workflow.plan import make_plan
from tests.faults.host import HostProcess, digest
from tests.faults.stand import SHORT, graph

# Shorter still: here a busy machine may well look like a fault.
HASTY = dataclasses.replace(SHORT, ping=0.6, answer=1.0, quiet=(0.5, 1.0, 2.0), fetch=20.0)
LIMIT = 30.0  # seconds after the last fault in which every job must have ended
NOTHING = "0 tasks, 0 threads, 0 sockets"
SPAN = 0.35  # seconds over which a schedule's events are spread
ENDS = {"execution_success": "succeeded", "execution_error": "failed", "execution_interrupted": "cancelled"}
CALLS = (
    "POST /api/record",
    "GET /api/queue",
    "GET /api/history",
    "GET /api/view",
    "POST /api/jobs",
    "GET /api/ws",
)
FAULTS = (
    "clean", "reset", "half-open", "mute", "stall", "delay", "chop", "lump", "drop", "double",
    "answer", "answer", "refuse", "restart", "remove", "clear",
)  # fmt: skip


@dataclass
class Report:
    """What a soak found."""

    schedules: int = 0
    jobs: int = 0
    strangers: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    hangs: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)
    frames: int = 0
    left: str = ""
    loud: bool = False

    def note(self, where: list[str], what: str) -> None:
        """One thing that is not as it must be."""
        where.append(what)
        if self.loud:
            print(what, flush=True)

    @property
    def good(self) -> bool:
        return not (self.wrong or self.hangs or self.foreign) and self.left == NOTHING


def random_graph(rng: random.Random, seed: int) -> dict[str, Any]:
    """A small run that no server has done before, and sometimes one that fails in a node."""
    made = graph(rng.choice((1, 2, 4, 8, 16)), seed)
    if rng.random() < 0.06:  # passes validation, and is more than the server holds
        made["5"]["inputs"] |= {"width": 16384, "height": 16384, "batch_size": 64}
    return made


class Lane:
    """One server, one link and one client after another, on which schedules run."""

    def __init__(self, index: int, host: HostProcess, turn: asyncio.Lock, report: Report) -> None:
        self.index, self.host, self.turn, self.report = index, host, turn, report
        self.link = FaultyLink(host.urls[index])
        self.client: Client | None = None
        self.uses = self.seed = 0
        self.asked: set[str] = set()  # whom to stop

    async def ask(self, do: str) -> Any:
        async with self.turn:
            return await asyncio.to_thread(self.host.ask, do, self.index)

    async def run(self, seed: int) -> None:
        """One schedule, from its first submit to the verdict."""
        rng, self.seed = random.Random(seed), seed
        client = await self._client()
        records: list[Record] = []
        events = [(rng.uniform(0, SPAN), "submit") for _ in range(rng.randint(1, 3))]
        events += [(rng.uniform(0, SPAN), rng.choice(FAULTS)) for _ in range(rng.randint(1, 4))]
        if rng.random() < 0.3:
            events.append((rng.uniform(0, SPAN), "interrupt"))
        # Where single messages are dropped, which no real line does, nobody could tell whose a nameless frame is.
        if rng.random() < 0.3 and all(what != "drop" for _, what in events):
            events.append((rng.uniform(0, SPAN), "stranger"))
        began = time.monotonic()
        for at, what in sorted(events):
            await asyncio.sleep(max(0.0, began + at - time.monotonic()))
            await self._do(what, rng, client, records)
        self._heal()
        if rng.random() < 0.5:
            self.link.notice()
        hung = await self._all_ended(records)
        self.link.notice()
        diary = await self.ask("diary")
        self._judge(seed, records, hung, diary)

    async def _client(self) -> Client:
        if self.client is not None and self.uses >= 10:
            await self.close()
        if self.client is None:
            address = Address.parse(self.link.url)
            self.client = await asyncio.to_thread(Client, address, get_loop(), patience=HASTY)  # reads files
            await asyncio.wrap_future(get_loop().run(self.client.open()))
            self.uses = 0
        self.uses += 1
        return self.client

    async def close(self) -> None:
        if self.client is not None:
            await asyncio.wrap_future(get_loop().run(self.client.close()))
            self.client = None

    async def _do(self, what: str, rng: random.Random, client: Client, records: list[Record]) -> None:
        if what == "submit":
            api = random_graph(rng, 10 * self.seed + len(records))
            records.append(record := new_record(api, checked=rng.random() < 0.3))
            get_loop().call(client.submit, record, {"step_time": rng.choice((0, 0, 0.01, 0.03))})
            return
        if what == "interrupt":
            if records:
                chosen = rng.choice(records)
                self.asked.add(chosen.id)
                get_loop().call(client.interrupt, chosen)
            return
        if what == "stranger":  # whose progress and frames go to everybody, as it names no client
            self.report.strangers += 1
            body = {"record": graph(8, 10 * self.seed + 9), "extra_data": {"step_time": 0.01}}
            await self._post("record", body)
            return
        self.report.faults[what] += 1
        link = self.link
        match what:
            case "clean" | "reset" | "half-open":
                link.cut(what)
            case "mute":
                link.mute()
            case "stall":
                link.stall()
                asyncio.get_running_loop().call_later(rng.uniform(0.02, 0.3), link.resume)
            case "delay":
                link.delay = rng.uniform(0.001, 0.01)
            case "chop":
                link.chop = rng.choice((37, 1000))
            case "lump":
                link.lump = rng.uniform(0.01, 0.1)
            case "drop" | "double":
                share, other = rng.uniform(0.05, 0.6), random.Random(rng.random())
                times = 0 if what == "drop" else 2
                link.copies = lambda _: times if other.random() < share else 1
            case "answer":
                status = rng.choice((0, 429, 500, 503))
                passed_on = rng.random() < 0.5 and status != 429
                link.answer(Answer(rng.choice(CALLS), status, rng.randint(1, 3), passed_on))
            case "refuse":
                link.refuse()
                link.cut(rng.choice(("clean", "reset", "half-open")))
            case "restart":
                link.target = await self.ask("restart")
            case "remove":
                if records:
                    await self._post("queue", {"delete": [rng.choice(records).id]})
            case "clear":
                await self._post("history", {"clear": True})
            case _:
                raise ValueError(what)

    async def _post(self, route: str, body: dict[str, Any]) -> None:
        """Somebody else does something to the server, past the link."""
        async with httpx2.AsyncClient(trust_env=False) as http:
            await http.post(f"{self.link.target}/api/{route}", json=body)

    def _heal(self) -> None:
        link = self.link
        link.delay, link.chop, link.lump, link.copies = 0.0, 0, 0.0, None
        link.accept()
        link.forgive()
        link.resume()

    async def _all_ended(self, records: list[Record]) -> list[Record]:
        """Wait for all; returns those that do not end."""
        loop, news = asyncio.get_running_loop(), asyncio.Event()

        def note(_: ev.Event) -> None:
            loop.call_soon_threadsafe(news.set)

        stops = [record.listen(note) for record in records]
        try:
            async with asyncio.timeout(LIMIT):
                while any(not record.run.ended for record in records):
                    await news.wait()
                    news.clear()
        except TimeoutError:
            pass
        finally:
            for stop in stops:
                stop()
        return [record for record in records if not record.run.ended]

    def _judge(self, seed: int, records: list[Record], hung: list[Record], diary: dict[str, Any]) -> None:
        report = self.report
        report.schedules += 1
        report.jobs += len(records)
        for record in records:
            status = record.run.status
            story = [line for line in diary["lines"] if line[1] in (record.id, "all")]
            about = f"seed {seed}: {status} ({record.run.cause or record.run.failure}), server: {story}"
            report.outcomes[status] += 1
            if record in hung:
                report.note(report.hangs, f"{about} link {record.run.link} {record.run.link_note}")
                continue
            failure = record.run.failure
            unanswered = failure is not None and failure.kind == "unreachable"
            allowed, files = verdict(story, record.id in self.asked, unanswered, bare=diary["bare"])
            if status not in allowed:
                report.note(report.wrong, f"{about}; allowed: {allowed}")
            shown = [digest(kept.event.blob.data) for kept in record.steps]
            got = [digest(result.blob.data) for result in record.results if result.blob is not None]
            report.frames += len(shown)
            if not set(shown) <= set(diary["frames"].get(record.id, [])) or not set(got) <= set(files):
                report.note(report.foreign, about)
            gone = any(event in ("forgot", "restarted") for event, _, _ in story[_ended_at(story) :])
            if status == "succeeded" and not gone and sorted(got) != sorted(files):
                report.note(report.wrong, f"{about}; results {got} instead of {files}: {record.run.warnings}")
            for kept in record.steps:
                kept.event.blob.free()


def new_record(api: dict[str, Any], *, checked: bool) -> Record:
    record = Record(Request(make_plan(api, str(uuid.uuid4())), api, checked=checked))
    Recorder(record)
    return record


def _ended_at(story: list[list[Any]]) -> int:
    return next((place for place, line in enumerate(story) if line[0] == "ended"), len(story))


def verdict(
    story: list[list[Any]], stop_asked: bool, unanswered: bool, *, bare: bool = False
) -> tuple[set[str], list[str]]:
    """What may have become of a job of which the server tells this story, and the pictures that it made.

    `unanswered` says that the client gives as its reason that the call which sent the job was not answered, `bare` that
    the server knew of no ended job at first: then nobody can tell whether it was restarted meanwhile.
    """
    events = [line[0] for line in story]
    if "put" not in events:  # the server never had it
        unknowable = {"lost"} if bare or "restarted" in events or "forgot" in events else set[str]()
        return {"failed"} | unknowable | ({"cancelled"} if stop_asked else set()), []
    if events.count("put") > 1:
        return set(), []
    later = story[events.index("put") :]
    events = [line[0] for line in later]
    allowed: set[str] = set()
    files: list[str] = []
    if "ended" in events:
        end = later[events.index("ended")][2]
        allowed.add(ENDS[end["how"]])
        files = end["files"]
        later = later[events.index("ended") + 1 :]
        if not any(line[0] in ("forgot", "restarted") for line in later):
            return allowed, files
    if "removed" in events and stop_asked:
        return {"cancelled", "lost"} if "restarted" in events else {"cancelled"}, files
    # Gone without a trace: whoever has asked to stop it while it waited cannot tell why.
    gone = {"lost"} | ({"cancelled"} if stop_asked else set()) | ({"failed"} if unanswered else set())
    return allowed | gone, files


async def soak(count: int, first_seed: int, lanes: int, report: Report) -> None:
    """Run schedules with the seeds from `first_seed` on."""
    before = await open_now()
    host = HostProcess(lanes)
    turn = asyncio.Lock()
    seeds = iter(range(first_seed, first_seed + count))

    async def drive(lane: Lane) -> None:
        for seed in seeds:
            try:
                async with asyncio.timeout(2 * LIMIT):
                    await lane.run(seed)
            except Exception as error:  # noqa: BLE001 - the other lanes go on, and the report says it
                report.note(report.wrong, f"seed {seed}: the schedule itself failed: {error!r}")
                lane.client = None
            if report.loud and report.schedules % 100 == 0:
                print(
                    f"{report.schedules} schedules, {len(report.wrong)} wrong, {len(report.hangs)} hang",
                    file=sys.stderr,
                    flush=True,
                )
        await lane.close()

    driven = [Lane(index, host, turn, report) for index in range(lanes)]
    try:
        for lane in driven:
            lane.link.__enter__()
        await asyncio.gather(*map(drive, driven))
    finally:
        for lane in driven:
            lane.link.__exit__(None, None, None)
        host.close()
    report.left = await left_over(before)


async def open_now() -> list[set[Any]]:
    """What is open in this process: tasks on our loop, threads, sockets."""

    async def tasks() -> set[Any]:
        return asyncio.all_tasks() - {asyncio.current_task()}

    ours = (
        "comfy_nb-loop",
        "comfy_nb-callback",
        "comfy_nb-worker",
        "comfy_nb-store",
        "MainThread",
        "asyncio_",
    )
    threads = {t for t in threading.enumerate() if not t.name.startswith(ours)}
    sockets = {c for c in psutil.Process().net_connections("inet") if c.status != "TIME_WAIT"}
    return [await asyncio.wrap_future(get_loop().run(tasks())), threads, sockets]


async def left_over(before: list[set[Any]]) -> str:
    """What a soak has left open that was not open before; tests of the same process may have had some."""
    deadline = time.monotonic() + 10
    while True:
        now = await open_now()
        running, threads, sockets = (new - old for new, old in zip(now, before, strict=True))
        if not (running or threads or sockets) or time.monotonic() > deadline:
            return f"{len(running)} tasks, {len(threads)} threads, {len(sockets)} sockets"
        await asyncio.sleep(0.05)


def table(report: Report, seconds: float, first_seed: int) -> str:
    kinds = ", ".join(f"{kind} {count}" for kind, count in sorted(report.faults.items()))
    outcomes = ", ".join(f"{kind} {count}" for kind, count in sorted(report.outcomes.items()))
    rows = [
        ("schedules", f"{report.schedules} (seeds {first_seed} to {first_seed + report.schedules - 1})"),
        ("jobs", f"{report.jobs} ({outcomes})"),
        ("jobs of strangers", report.strangers),
        ("faults", f"{sum(report.faults.values())} ({kinds})"),
        ("wrong or missing outcomes", len(report.wrong)),
        ("hangs", len(report.hangs)),
        ("foreign frames or pictures", f"{len(report.foreign)} (of {report.frames} frames)"),
        ("left over", report.left),
        ("peak RSS", f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024} MB"),
        ("time", f"{seconds:.0f} s"),
    ]
    return "\n".join(f"| {name} | {value} |" for name, value in rows)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("count", type=int)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--lanes", type=int, default=6)
    arguments = parser.parse_args()
    report, began = Report(loud=True), time.monotonic()
    asyncio.run(soak(arguments.count, arguments.seed, arguments.lanes, report))
    print(table(report, time.monotonic() - began, arguments.seed))
    return 0 if report.good else 1


if __name__ == "__main__":
    sys.exit(main())
