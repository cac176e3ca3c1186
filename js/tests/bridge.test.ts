import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Bridge } from "../src/bridge";
import { FakeModel } from "./helpers";

let model: FakeModel;
let bridge: Bridge;
let heard: unknown[];
let kernel: string;
let page: AbortController;
let kernels = 0;

beforeEach(() => {
  vi.useFakeTimers();
  heard = [];
  kernel = `kernel${kernels++}`;
  [model, bridge, page] = open();
});

afterEach(() => {
  vi.useRealTimers();
});

function open(): [FakeModel, Bridge, AbortController] {
  const model = new FakeModel();
  const page = new AbortController();
  return [model, new Bridge(model.face, page.signal, (content) => heard.push(content)), page];
}

const frame = (n: number, stream = 1) => ({ s: `${kernel}:${stream}`, n });

test("it says hello and waits for Python's first word", () => {
  expect(model.sent).toEqual([{ k: "hello", page: expect.any(String) }]);
  expect(bridge.life.value).toBe("waiting");
  model.says({ k: "hi" });
  expect(bridge.life.value).toBe("live");
  expect(heard).toEqual([{ k: "hi" }]);
});

test("a kernel that went away is noticed", () => {
  model.says({ k: "hi" });
  model.emit("comm_live_update");
  expect(bridge.life.value).toBe("gone");
});

test("a host that refuses what it is given has let go of the kernel", () => {
  model.says({ k: "hi" });
  bridge.seen(frame(1));
  model.unreachable = true;
  vi.advanceTimersByTime(200);
  bridge.send({ k: "interrupt" });
  expect(bridge.life.value).toBe("gone");
});

test("painted frames are told soon at first, then now and then, the newest at last", () => {
  const told: number[] = [];
  const began = performance.now();
  for (let n = 1; n <= 60; n++) {
    bridge.seen(frame(n));
    vi.advanceTimersByTime(1000 / 60);
    if (model.said("seen").length > told.length) told.push(Math.round(performance.now() - began));
  }
  vi.advanceTimersByTime(550);
  const seen = model.said("seen");
  expect(told).toEqual([expect.closeTo(110, -2), expect.closeTo(580, -2)]);
  expect(seen).toHaveLength(3);
  expect(seen.at(-1)).toMatchObject({ at: { [frame(1).s]: [60, expect.any(Number)] } });
  expect(vi.getTimerCount()).toBe(0);
});

test("of frames that come, the painted ones before are told at once, if they are due", () => {
  const told: number[] = [];
  const began = performance.now();
  for (let n = 1; n <= 10; n++) {
    bridge.arrived(frame(n));
    if (model.said("seen").length > told.length) told.push(Math.round(performance.now() - began));
    vi.advanceTimersByTime(20);
    bridge.seen(frame(n));
    vi.advanceTimersByTime(70);
  }
  expect(told).toEqual([90, 450, 810]); // every 350 ms or so, and only as a frame arrives
  expect(model.said("seen")[1]).toEqual({ k: "seen", at: { [frame(1).s]: [5, 70] } });
  vi.advanceTimersByTime(550);
  expect(model.said("seen").at(-1)).toEqual({ k: "seen", at: { [frame(1).s]: [10, expect.any(Number)] } });
  expect(vi.getTimerCount()).toBe(0);
});

test("an acknowledgement says for how long it was held back", () => {
  bridge.seen(frame(1));
  vi.advanceTimersByTime(30);
  bridge.seen(frame(2));
  vi.advanceTimersByTime(70);
  expect(model.said("seen")).toEqual([{ k: "seen", at: { [frame(1).s]: [2, 70] } }]);
});

test("one message acknowledges for all widgets of the page, and to their kernel only", () => {
  const [second, other] = open();
  const [third, foreign] = open();
  bridge.seen(frame(5, 1));
  other.seen(frame(6, 2));
  foreign.seen({ s: `other-${kernel}:1`, n: 7 });
  vi.advanceTimersByTime(100);
  expect([...model.said("seen"), ...second.said("seen")]).toEqual([
    { k: "seen", at: { [`${kernel}:1`]: [5, 100], [`${kernel}:2`]: [6, 100] } },
  ]);
  expect(third.said("seen")).toEqual([{ k: "seen", at: { [`other-${kernel}:1`]: [7, 100] } }]);
});

test("another widget acknowledges for one that was closed", () => {
  const [second, other] = open();
  bridge.seen(frame(5, 1));
  other.seen(frame(6, 2));
  page.abort();
  vi.advanceTimersByTime(100);
  expect(model.said("seen")).toEqual([]);
  expect(second.said("seen")).toHaveLength(1);
});

const said = () => model.said("looks").map((content) => content.at);

test("it speaks for all views: they look while any does", () => {
  const [a, b] = [{}, {}];
  bridge.looks(a, true);
  bridge.looks(b, true);
  bridge.looks(a, false);
  vi.advanceTimersByTime(100);
  bridge.looks(b, false);
  vi.advanceTimersByTime(100);
  bridge.looks(a, false);
  vi.advanceTimersByTime(100);
  expect(said()).toEqual([true, false]);
  expect(new Set(model.said("looks").map((content) => content.page)).size).toBe(1);
});

test("a view may show some streams: Python hears of those that any view shows", () => {
  const [a, b] = [{}, {}];
  bridge.looks(a, ["2", "1"]);
  bridge.looks(b, ["2", "3"]);
  vi.advanceTimersByTime(100);
  bridge.looks(a, []);
  bridge.looks(b, false);
  vi.advanceTimersByTime(100);
  expect(said()).toEqual([["1", "2"], ["1", "2", "3"], false]);
});

test("scrolling is told ten times a second, and where it ended", () => {
  const view = {};
  for (let row = 0; row < 60; row++) {
    bridge.looks(view, [String(row)]);
    vi.advanceTimersByTime(1000 / 60);
  }
  vi.advanceTimersByTime(200);
  expect(said().length).toBeLessThanOrEqual(12);
  expect(said().at(-1)).toEqual(["59"]);
});

test("a page that is closed says that nobody looks any more", () => {
  bridge.looks({}, true);
  dispatchEvent(new Event("pagehide"));
  expect(said()).toEqual([true, false]);
});

test("a widget that was closed says nothing any more", () => {
  bridge.seen(frame(1));
  page.abort();
  vi.advanceTimersByTime(500);
  bridge.looks({}, true);
  bridge.seen(frame(2));
  dispatchEvent(new Event("pagehide"));
  vi.advanceTimersByTime(500);
  expect(model.sent).toHaveLength(1);
});
