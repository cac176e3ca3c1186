// JobBoard: many jobs in one widget. `initialize` runs once per model and keeps what all views share; `render` once
// per view.

import type { InitializeProps, RenderProps } from "@anywidget/types";
import { render } from "preact";
import { Board } from "./board/board";
import { BoardSession } from "./board/session";

export default () => {
  let session: BoardSession | undefined;
  return {
    initialize({ model, signal }: InitializeProps): void {
      session = new BoardSession(model, signal);
    },
    render({ el, signal, host }: RenderProps): void {
      if (session === undefined) return;
      const root = el.ownerDocument.createElement("div");
      root.className = "cnb cnb-board";
      el.append(root);
      render(<Board session={session} host={host} />, root);
      signal.addEventListener("abort", () => {
        render(null, root);
        root.remove();
      });
    },
  };
};
