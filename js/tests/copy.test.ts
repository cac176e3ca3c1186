// The copy beside a live view, in a notebook that stands in for JupyterLab's document model.

import type { AnyModel } from "@anywidget/types";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Copy } from "../src/copy";

const LIVE = (id: string) => ({ "application/vnd.jupyter.widget-view+json": { model_id: id } });
const COPY = (text: string) => ({ "text/html": `<div class="cnb-saved">${text}</div>`, "text/plain": text });
const KEPT = { "text/plain": "a castle: succeeded in 2.0 s", "image/jpeg": "…" };

class Cell {
  readonly outputs: {
    length: number;
    get: (index: number) => { data: object; toJSON: () => object };
    set: (index: number, output: object) => void;
  };

  constructor(readonly data: object[]) {
    this.outputs = {
      length: data.length,
      get: (index) => ({ data: data[index] ?? {}, toJSON: () => ({ metadata: index, data: data[index] }) }),
      set: (index, output) => {
        data[index] = output;
      },
    };
  }
}

let page: AbortController;
let ask: ReturnType<typeof vi.fn<() => void>>;

beforeEach(() => {
  vi.useFakeTimers();
  page = new AbortController();
  ask = vi.fn<() => void>();
});
afterEach(() => vi.useRealTimers());

function copyIn(...cells: object[]): Copy {
  const model = {
    widget_manager: {
      context: { model: { cells: { length: cells.length, get: (at: number) => cells[at] } } },
    },
  };
  return new Copy(model as unknown as AnyModel, page.signal, ask);
}

test("a copy that is still empty a while after the end is asked for once, and filled in", () => {
  const cell = new Cell([LIVE("m1"), COPY("")]);
  const copy = copyIn({}, cell);
  copy.ended("m1");
  copy.ended("m1");
  vi.advanceTimersByTime(1900);
  expect(ask).not.toHaveBeenCalled();
  vi.advanceTimersByTime(200);
  expect(ask).toHaveBeenCalledOnce();
  copy.fill("m1", KEPT);
  expect(cell.data).toEqual([LIVE("m1"), { metadata: 1, data: KEPT }]);
});

test("one that Python has filled in by then is left alone", () => {
  const cell = new Cell([LIVE("m1"), COPY("")]);
  const copy = copyIn(cell);
  copy.ended("m1");
  cell.data[1] = COPY("a castle: succeeded");
  vi.advanceTimersByTime(5000);
  expect(ask).not.toHaveBeenCalled();
  copy.fill("m1", KEPT);
  expect(cell.data[1]).toEqual(COPY("a castle: succeeded"));
});

test("only what stands beside this very view is filled in, wherever it is shown", () => {
  const cells = [new Cell([LIVE("m1"), COPY("")]), new Cell([LIVE("m2"), COPY("")]), new Cell([COPY("")])];
  const again = new Cell([{ "text/plain": "printed" }, LIVE("m1"), COPY(""), { "text/html": "<b>mine</b>" }]);
  copyIn(...cells, again).fill("m1", KEPT);
  expect(cells[0]?.data[1]).toMatchObject({ data: KEPT });
  expect(cells[1]?.data[1]).toEqual(COPY(""));
  expect(cells[2]?.data[0]).toEqual(COPY(""));
  expect(again.data[2]).toMatchObject({ data: KEPT });
  expect(again.data[3]).toEqual({ "text/html": "<b>mine</b>" });
});

test("a host that does not give its notebook away is not asked, nor one that has closed the view", () => {
  const host = new Copy({} as AnyModel, page.signal, ask);
  host.ended("m1");
  host.fill("m1", KEPT);
  const closed = copyIn(new Cell([LIVE("m1"), COPY("")]));
  closed.ended("m1");
  page.abort();
  vi.advanceTimersByTime(5000);
  expect(ask).not.toHaveBeenCalled();
});
