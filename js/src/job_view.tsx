// JobView: one job, live. `initialize` runs once per model and keeps what all views share; `render` once per view.

import type { InitializeProps, RenderProps } from "@anywidget/types";
import { render } from "preact";
import { Card } from "./parts/card";
import { Session } from "./session";

export default () => {
  let session: Session | undefined;
  return {
    initialize({ model, signal }: InitializeProps): void {
      session = new Session(model, signal);
    },
    render({ el, signal }: RenderProps): void {
      if (session === undefined) return;
      const root = el.ownerDocument.createElement("div");
      root.className = "cnb";
      el.append(root);
      render(<Card session={session} />, root);
      signal.addEventListener("abort", () => {
        render(null, root);
        root.remove();
      });
    },
  };
};
