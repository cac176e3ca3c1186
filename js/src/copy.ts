// The copy that a saved notebook keeps of a job stands in an output beside the live view. Python fills it in by the
// name under which it was displayed, and a page that was loaded since then knows no such names: hosts keep them in
// memory alone. So a while after the end the page looks whether the copy is still empty; then it asks for what belongs
// there and puts it into the notebook itself. Where it cannot get at the notebook (only Jupyter's own pages let it),
// nothing happens.

import type { AnyModel } from "@anywidget/types";

const WIDGET = "application/vnd.jupyter.widget-view+json";
const MARK = 'class="cnb-saved"';
const PATIENCE = 2000; // ms that Python has to fill it in

/** The part of JupyterLab's document model that is needed here. */
interface Output {
  readonly data: Readonly<Record<string, unknown>>;
  toJSON(): object;
}
interface Outputs {
  readonly length: number;
  get(index: number): Output;
  set(index: number, output: object): void;
}
interface Cells {
  readonly length: number;
  get(index: number): { readonly outputs?: Outputs };
}
interface Host {
  readonly context?: { readonly model?: { readonly cells?: Cells } };
}

export class Copy {
  private timer: ReturnType<typeof setTimeout> | undefined;

  constructor(
    private readonly model: AnyModel,
    private readonly signal: AbortSignal,
    private readonly ask: () => void,
  ) {}

  /** The job has ended; `id` is the live view's model. */
  ended(id: string): void {
    if (this.timer !== undefined) return;
    this.timer = setTimeout(() => {
      if (this.empty(id).length > 0) this.ask();
    }, PATIENCE);
    this.signal.addEventListener("abort", () => clearTimeout(this.timer));
  }

  /** Python says what belongs there, by media type. */
  fill(id: string, data: object): void {
    for (const { outputs, index } of this.empty(id)) {
      outputs.set(index, { ...outputs.get(index).toJSON(), data });
    }
  }

  /** The empty copies beside this view's outputs. */
  private empty(id: string): { outputs: Outputs; index: number }[] {
    const cells = (this.model.widget_manager as Host | undefined)?.context?.model?.cells;
    const found: { outputs: Outputs; index: number }[] = [];
    for (let at = 0; at < (cells?.length ?? 0); at++) {
      const outputs = cells?.get(at).outputs;
      for (let index = 1; outputs !== undefined && index < outputs.length; index++) {
        const live = outputs.get(index - 1).data?.[WIDGET] as { model_id?: unknown } | undefined;
        if (live?.model_id === id && isEmpty(outputs.get(index))) found.push({ outputs, index });
      }
    }
    return found;
  }
}

function isEmpty({ data }: Output): boolean {
  return String(data?.["text/html"]).includes(MARK) && String(data["text/plain"] ?? "") === "";
}
