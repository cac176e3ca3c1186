// What a page knows of a board, by what Python says; and what it lets go.

import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { BoardSession } from "../../src/board/session";
import { bytes, FakeBrowser, FakeModel, loadedBy } from "../helpers";

let model: FakeModel;
let browser: FakeBrowser;
let session: BoardSession;
let page: AbortController;
let open: number;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "setInterval", "clearInterval"] });
  open = 0;
  URL.createObjectURL = () => `blob:${++open}`;
  URL.revokeObjectURL = (url) => {
    if (url) open -= 1;
  };
  model = new FakeModel();
  browser = new FakeBrowser();
  page = new AbortController();
  session = new BoardSession(model.face, page.signal, browser, () => 0);
});

afterEach(() => {
  page.abort();
  vi.useRealTimers();
});

const running = (i: number) => ({ i, t: `job ${i}`, s: "running", p: 0.2 });
const done = (i: number, o = 1) => ({ i, t: `job ${i}`, s: "succeeded", o });
const all = (...rows: object[]) => model.says({ k: "all", rows, servers: ["a", "b"], selected: [], undo: 0 });
const rows = (changed: object[], gone: number[] = []) => model.says({ k: "rows", rows: changed, gone });
const frame = (i: number, n: number) =>
  model.says({ k: "frame", s: "x:1", i, n, a: n, b: 20, p: 0.3 }, bytes(n));
const thumb = (i: number) => model.says({ k: "thumbs", thumbs: [{ i, text: "", n: 1 }] }, bytes(9));

test("rows come once, then what changed, then what is gone", () => {
  all(running(1), done(2));
  expect(session.all().map((row) => [row.key, row.status])).toEqual([
    [1, "running"],
    [2, "succeeded"],
  ]);
  const before = session.table.value;
  rows([{ ...running(1), p: 0.5 }]);
  expect(session.table.value).toBe(before);
  expect(session.row(1)?.value.progress).toBe(0.5);
  rows([done(1)], [2]);
  expect(session.table.value).toBe(before + 1);
  expect(session.all().map((row) => row.key)).toEqual([1]);
  expect(session.announced.value).toBe("job 1: succeeded");
});

test("a server that comes later joins the list, and why a click was refused stands until the next one", () => {
  all(running(1));
  model.says({ k: "servers", servers: ["a", "b", "c"] });
  expect(session.servers.value).toEqual(["a", "b", "c"]);
  session.interrupt([1]);
  model.says({ k: "refused", ids: [1], why: "nobody there" });
  expect(session.refused.value).toBe("1 job not interrupted: nobody there");
  session.interrupt([1]);
  expect(session.refused.value).toBe("");
});

test("all anew forgets what is not among them", () => {
  all(running(1), done(2));
  all(done(2));
  expect(session.all().map((row) => row.key)).toEqual([2]);
});

test("a frame is drawn to its own card, and acknowledged", async () => {
  all(running(1), running(2));
  frame(1, 3);
  const image = new Image();
  session.liveOf(1).value?.painter.attach(image);
  await browser.frame();
  expect(loadedBy(image)).toEqual([3]);
  expect(session.liveOf(1).value?.shown.value).toMatchObject({ key: 1, step: 3 });
  expect(session.liveOf(2).value).toBeNull();
  vi.advanceTimersByTime(100);
  expect(model.said("seen")).toHaveLength(1);
});

test("a frame is acknowledged as the next one comes, whichever job that is of", async () => {
  all(running(1), running(2));
  const says = (i: number) =>
    model.says({ k: "frame", s: `calm:${i}`, i, n: 1, a: 1, b: 20, p: 0.3 }, bytes(i));
  says(1);
  session.liveOf(1).value?.painter.attach(new Image());
  await browser.frame();
  expect(model.said("seen")).toEqual([]);
  says(2);
  expect(model.said("seen")).toEqual([{ k: "seen", at: { "calm:1": [1, expect.any(Number)] } }]);
});

test("the last frame stays until the thumbnail is there, then goes", async () => {
  all(running(1));
  frame(1, 3);
  session.liveOf(1).value?.painter.attach(new Image());
  await browser.frame();
  rows([done(1)]);
  expect(session.liveOf(1).value).not.toBeNull();
  thumb(1);
  expect(session.liveOf(1).value).toBeNull();
  expect(session.thumbs.has(1)).toBe(true);
});

test.each([
  ["without outputs", done(1, 0)],
  ["failed", { i: 1, t: "", s: "failed" }],
  ["cancelled", { i: 1, t: "", s: "cancelled" }],
])("a job that ended %s lets its frame go at once", (_, row) => {
  all(running(1));
  frame(1, 3);
  rows([row]);
  expect(session.liveOf(1).value).toBeNull();
  frame(1, 4);
  expect(session.liveOf(1).value).toBeNull();
});

test("previews that are turned off are gone at once, while the job runs, and stay off", () => {
  all(running(1));
  frame(1, 3);
  rows([{ ...running(1), v: true }]);
  expect(session.liveOf(1).value).toBeNull();
  frame(1, 4);
  expect(session.liveOf(1).value).toBeNull();
});

test("thumbnails are asked for once, of ours that have any", () => {
  all(done(1), done(2, 0), running(3), { ...done(4), w: "Ada" }, done(5));
  thumb(5);
  session.want([1, 2, 3, 4, 5]);
  expect(model.said("want")).toEqual([{ k: "want", page: session.page, ids: [1] }]);
  session.want([5]);
  expect(model.said("want")).toHaveLength(1);
});

test("300 thumbnails are kept, those in sight longest; a job that goes takes its own along", () => {
  const keys = Array.from({ length: 320 }, (_, index) => index + 1);
  all(...keys.map((key) => done(key)));
  for (const key of keys) thumb(key);
  session.thumbs.touch([1, 2, 3]);
  expect(open).toBe(300);
  expect(session.thumbs.has(1)).toBe(true);
  expect(session.thumbs.has(4)).toBe(false);
  rows([], [1]);
  expect(open).toBe(299);
  page.abort();
  expect(open).toBe(0);
});

test("the selection is Python's, but not while ours is on its way", () => {
  all(done(1), done(2));
  session.select(new Set([1]));
  session.select(new Set([1, 2]));
  model.says({ k: "selected", ids: [1] });
  expect([...session.selected.value]).toEqual([1, 2]);
  model.says({ k: "selected", ids: [1, 2] });
  model.says({ k: "selected", ids: [2] });
  expect([...session.selected.value]).toEqual([2]);
});

test("what is not ours is neither interrupted, dismissed nor opened", () => {
  all({ ...running(1), w: "Ada" }, { ...done(2), w: "Ada" }, running(3), done(4));
  session.interrupt([1, 3, 4]);
  session.dismiss([2, 3, 4]);
  session.open(1);
  expect(model.said("interrupt")).toEqual([{ k: "interrupt", ids: [3] }]);
  expect(model.said("dismiss")).toEqual([{ k: "dismiss", ids: [4] }]);
  expect(model.said("open")).toEqual([]);
});

test("an opened job is shown on the page that asked, and closed when it goes", () => {
  all(done(1));
  session.open(1);
  const [asked] = model.said("open");
  model.says({ k: "opened", page: "another", id: 1, ref: "r" });
  expect(session.opened.value).toBeNull();
  model.says({
    k: "opened",
    page: asked?.page,
    id: 1,
    ref: "r",
    parameters: [["KSampler.seed", "7"]],
    code: "c",
  });
  expect(session.opened.value).toMatchObject({ key: 1, ref: "r", parameters: [["KSampler.seed", "7"]] });
  rows([], [1]);
  expect(session.opened.value).toBeNull();
});

test("nonsense changes nothing", () => {
  all(done(1));
  for (const said of [
    null,
    7,
    {},
    { k: "rows" },
    { k: "rows", rows: 3, gone: {} },
    { k: "thumbs", thumbs: [null] },
  ]) {
    model.says(said as object);
  }
  expect(session.all().map((row) => row.key)).toEqual([1]);
});
