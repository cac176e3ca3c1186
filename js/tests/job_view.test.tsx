// The rendered view, as a person meets it: by role and text.

import { render } from "preact";
import { act } from "preact/test-utils";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import jobView from "../src/job_view";
import { Card } from "../src/parts/card";
import type { State } from "../src/protocol";
import { Session } from "../src/session";
import { bytes, FakeBrowser, FakeModel, RUNNING, settled } from "./helpers";

let model: FakeModel;
let browser: FakeBrowser;
let page: AbortController;
let root: HTMLElement;
let now: number;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "setInterval", "clearInterval"] });
  let made = 0;
  URL.createObjectURL = () => `blob:${++made}`;
  URL.revokeObjectURL = vi.fn();
  browser = new FakeBrowser();
  page = new AbortController();
  now = 0;
});

afterEach(() => {
  act(() => render(null, root));
  page.abort();
  vi.useRealTimers();
});

function mount(state: Partial<State> = {}, hi = true): Session {
  model = new FakeModel({ ...RUNNING, ...state });
  const session = new Session(model.face, page.signal, browser, () => now);
  root = document.createElement("div");
  document.body.append(root);
  act(() => render(<Card session={session} />, root));
  if (hi) act(() => model.says({ k: "hi" }));
  return session;
}

const set = (state: Partial<State>) => act(() => model.sets("state", { ...RUNNING, ...state }));
const says = (content: object, ...buffers: DataView[]) => act(() => model.says(content, ...buffers));
const pass = (ms: number) =>
  act(() => {
    now += ms;
    vi.advanceTimersByTime(ms);
  });

async function frame(content: object) {
  says({ k: "frame", s: "a:1", n: 1, node: "3", of: 20, ...content }, bytes(1));
  await act(() => browser.frame());
}

function find(selector: string): HTMLElement {
  const found = root.querySelector<HTMLElement>(selector);
  if (found === null) throw new Error(`${selector} is not there:\n${root.innerHTML}`);
  return found;
}

const all = (selector: string) => [...root.querySelectorAll<HTMLElement>(selector)];
const words = (selector: string) => find(selector).textContent;
const button = (name: string) => find(`button[aria-label^="${name}"]`);
const key = (element: HTMLElement, name: string) =>
  act(() => {
    element.dispatchEvent(new KeyboardEvent("keydown", { key: name, bubbles: true }));
  });
const picture = (i: number) => ({ k: "output", i, kind: "image", label: "Save Image", name: `x_${i}.png` });

describe("while it runs", () => {
  test("status, percentage, nodes, bars and figures", () => {
    mount();
    expect(words(".cnb-chip")).toBe("Running");
    expect(words(".cnb-percent")).toBe("30 %");
    expect(all(".cnb-node .cnb-time").map((time) => time.textContent)).toEqual(["cached", "6 / 20", ""]);
    expect(find('[role="progressbar"][aria-label="KSampler"]').getAttribute("aria-valuetext")).toBe(
      "step 6 of 20",
    );
    expect(find('[aria-label="Whole job"]').getAttribute("aria-valuetext")).toBe("30 %");
    expect(words(".cnb-figures")).toBe("9.6 steps/s1.3 s so farabout 1 s left");
    expect(words(".cnb-link")).toBe("connected · updated just now");
  });

  test("a painted frame moves the bar, the caption and the acknowledgement together", async () => {
    mount();
    await frame({ step: 12, progress: 0.58 });
    expect(words(".cnb-caption")).toBe("current guess · step 12");
    expect(all(".cnb-node .cnb-time")[1]?.textContent).toBe("12 / 20");
    expect(words(".cnb-percent")).toBe("58 %");
    pass(150);
    expect(model.said("seen")).toEqual([{ k: "seen", at: { "a:1": [1, expect.any(Number)] } }]);
  });

  test("a picture is acknowledged as the next one comes", async () => {
    mount();
    await frame({ s: "calm:1", n: 1 });
    expect(model.said("seen")).toEqual([]);
    says({ k: "frame", s: "calm:1", n: 2, node: "3", of: 20 }, bytes(2));
    expect(model.said("seen")).toEqual([{ k: "seen", at: { "calm:1": [1, expect.any(Number)] } }]);
  });

  test("a state that comes after the frame has the last word", async () => {
    mount();
    await frame({ step: 12, progress: 0.58 });
    set({ step: 13, progress: 0.6 });
    expect(all(".cnb-node .cnb-time")[1]?.textContent).toBe("13 / 20");
  });

  test("time goes on by itself, and stops at the end", () => {
    mount();
    pass(2000);
    expect(words(".cnb-figures")).toContain("3.3 s so far");
    expect(words(".cnb-link")).toBe("connected · updated 2 s ago");
    set({ status: "succeeded", elapsed: 3.4 });
    pass(2000);
    expect(words(".cnb-figures")).toBe("3.4 s in all");
    expect(vi.getTimerCount()).toBe(0);
  });

  test("no time left is promised while the link is down", () => {
    mount({ link: "reconnecting", silent: 14.2 });
    expect(words(".cnb-figures")).not.toContain("left");
    expect(words(".cnb-link")).toBe("reconnecting · silent 14 s");
  });
});

describe("Interrupt", () => {
  test("says so at once, is sent once, and waits for Python's word", () => {
    mount();
    act(() => button("Interrupt").click());
    expect(button("Interrupting").textContent).toBe("Interrupting…");
    act(() => button("Interrupting").click());
    expect(model.said("interrupt")).toHaveLength(1);
    set({ stopping: true });
    expect(button("Interrupting").getAttribute("aria-disabled")).toBe("true");
    set({ status: "cancelled", line: "Interrupted at step 9 of 20", said: "Cancelled: interrupted" });
    expect(all("button[aria-label^=Interrupt]")).toEqual([]);
    expect(words(".cnb-note")).toBe("Interrupted at step 9 of 20");
    expect(words('[role="status"]')).toBe("Cancelled: interrupted");
  });

  test("says why it was refused, and can be asked again", () => {
    mount();
    act(() => button("Interrupt").click());
    says({ k: "refused", why: "nobody there" });
    expect(words(".cnb-note")).toBe("nobody there");
    expect(button("Interrupt").textContent).toBe("Interrupt");
    act(() => button("Interrupt").click());
    expect(words(".cnb-note")).not.toBe("nobody there");
  });

  test("comes back when the server would not stop", () => {
    mount();
    act(() => button("Interrupt").click());
    set({ stopping: true });
    set({ stopping: false });
    expect(button("Interrupt").textContent).toBe("Interrupt");
  });

  test("an unanswered click is explained", () => {
    mount();
    act(() => button("Interrupt").click());
    pass(2000);
    expect(words(".cnb-note")).toContain("kernel is busy");
  });

  test("does nothing before Python's first word, nor after its last", () => {
    mount({}, false);
    act(() => button("Interrupt").click());
    expect(words(".cnb-link")).toBe("waiting for the kernel");
    says({ k: "hi" });
    act(() => model.emit("comm_live_update"));
    act(() => button("Interrupt").click());
    expect(words(".cnb-note")).toBe("Kernel restarted: this view is a picture of the past.");
    expect(model.said("interrupt")).toEqual([]);
  });

  test("what has ended stays true without its kernel", () => {
    mount({ status: "succeeded" });
    act(() => model.emit("comm_live_update"));
    expect(find(".cnb-card").dataset.gone).toBe("false");
    expect(words(".cnb-link")).toBe("kernel restarted");
  });

  test("is not there for a job that was not sent or has ended", () => {
    mount({ status: "new" });
    expect(all("button[aria-label^=Interrupt]")).toEqual([]);
  });
});

describe("outputs", () => {
  const selected = () => words('[role="tab"][aria-selected="true"]');

  test("the Final tab opens by itself at the end", () => {
    mount();
    says(picture(0), bytes(1));
    expect(selected()).toBe("Live");
    set({ status: "succeeded", outputs: 1, line: "1 image" });
    expect(selected()).toBe("Final1");
    expect(find(".cnb-picture img").getAttribute("alt")).toBe("Save Image: x_0.png");
    expect(words(".cnb-note")).toBe("1 image");
  });

  test("but not when the person chose a tab, by mouse or by keyboard", () => {
    mount();
    key(find('[role="tab"][aria-selected="true"]'), "ArrowRight");
    expect(selected()).toBe("Final");
    expect(document.activeElement?.textContent).toBe("Final");
    key(find('[role="tab"][aria-selected="true"]'), "ArrowRight");
    says(picture(0), bytes(1));
    set({ status: "succeeded", outputs: 1 });
    expect(selected()).toBe("Live");
  });

  test("the large view: click, arrows, Escape, and the focus comes back", () => {
    mount();
    for (let i = 0; i < 3; i++) says(picture(i), bytes(1));
    set({ status: "succeeded", outputs: 3 });
    act(() => button("Enlarge x_1").click());
    expect(words(".cnb-turn span")).toBe("2 / 3");
    key(find(".cnb-large"), "ArrowRight");
    key(find(".cnb-large"), "ArrowRight");
    expect(words(".cnb-turn span")).toBe("1 / 3");
    expect(find(".cnb-body").hidden).toBe(true);
    key(find(".cnb-large"), "Escape");
    expect(all(".cnb-large")).toEqual([]);
    expect(document.activeElement).toBe(all(".cnb-picture")[0]);
  });

  test("an output that comes again is not shown twice, a better one replaces it", () => {
    mount({ status: "succeeded" });
    says(picture(0), bytes(1));
    says(picture(0), bytes(1));
    expect(all(".cnb-picture")).toHaveLength(1);
    expect(URL.revokeObjectURL).not.toHaveBeenCalledWith("blob:1");
    says(picture(0), bytes(1, 2));
    expect(all(".cnb-picture")).toHaveLength(1);
    expect(URL.revokeObjectURL).toHaveBeenCalledWith("blob:1");
  });

  test("texts and names are text, never HTML", () => {
    mount({ status: "succeeded" });
    const evil = "<img src=x onerror=alert(1)>";
    says({ k: "output", i: 0, kind: "text", label: evil, text: evil });
    says({ k: "output", i: 1, kind: "file", name: evil, size: 1200 });
    expect(all(".cnb-final img")).toEqual([]);
    expect(words(".cnb-text pre")).toBe(evil);
    expect(words(".cnb-file")).toBe(`${evil}1.2 kB`);
  });

  test("without a kernel the poster is shown, and called what it is", () => {
    model = new FakeModel();
    mount({ status: "succeeded", outputs: 1 }, false);
    act(() => model.sets("poster", bytes(1, 2, 3)));
    expect(words(".cnb-final")).toBe("final picture, reduced");
  });
});

test("of two jobs of one title each is a landmark of its own name, and names are given back", () => {
  mount();
  const first = root;
  mount();
  const names = [first, root].map((each) => each.querySelector("section")?.getAttribute("aria-label"));
  expect(names).toEqual(["Job: a glass bottle", "Job: a glass bottle (2)"]);
  act(() => render(null, first));
  mount();
  expect(find("section").getAttribute("aria-label")).toBe("Job: a glass bottle");
});

describe("trouble", () => {
  const error = {
    title: "The server refused the workflow",
    problems: [{ label: "KSampler", node: "3", input: "cfg", message: "250 is above the maximum of 100" }],
    detail: "",
  };

  test("which node, which input, what about it", () => {
    mount({ status: "failed", ran: false, error });
    expect(words('[role="alert"] li')).toBe("KSamplercfg250 is above the maximum of 100");
    expect(all(".cnb-chain")).toEqual([]); // nothing ran
    expect(all("details")).toEqual([]);
  });

  test("nothing twice: what the headline says already is not listed", () => {
    const title = "Not sent: KSampler (node 3), input 'cfg': 250 is above the maximum of 100";
    mount({ status: "failed", nodes: [], error: { ...error, title } });
    expect(words('[role="alert"]')).toBe(title);
  });

  test("the traceback is there for those who want it", () => {
    mount({ status: "failed", error: { ...error, detail: "Traceback…\n  File" } });
    expect(words("details pre")).toBe("Traceback…\n  File");
    expect(all(".cnb-chain")).toHaveLength(1);
  });

  test("what the server was warned of, and a node that has stopped", () => {
    mount({
      status: "lost",
      nodes: [
        ["done", 1],
        ["stopped", null],
      ],
      warnings: ["2 messages could not be read"],
    });
    expect(find(".cnb-node:nth-child(2)").dataset.look).toBe("stopped");
    expect(words(".cnb-warning")).toBe("2 messages could not be read");
  });
});

describe("as anywidget runs it", () => {
  test("a frame that came before the first view is shown in it; leaving cleans up", async () => {
    model = new FakeModel();
    const widget = jobView();
    const leaving = new AbortController();
    root = document.createElement("div");
    widget.initialize({ model: model.face, signal: page.signal, experimental: {} as never });
    model.says({ k: "frame", s: "a:1", n: 1, node: "3", step: 4, of: 20, progress: 0.2 }, bytes(1));
    await settled();
    const props = { model: model.face, el: root, signal: leaving.signal, experimental: {} as never };
    await act(async () => {
      widget.render({ ...props, host: {} as never });
      await settled();
    });
    expect(root.querySelector<HTMLImageElement>(".cnb-frame")?.src).toBe("data:image/jpeg;base64,AQ==");
    expect(root.querySelectorAll(".cnb")).toHaveLength(1);
    act(() => leaving.abort());
    expect(root.childElementCount).toBe(0);
  });
});
