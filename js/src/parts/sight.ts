import { useEffect } from "preact/hooks";
import type { Session } from "../session";

/** Tell the bridge whether any part of `root` can be seen. */
export function useSight(session: Session, root: { current: HTMLElement | null }) {
  useEffect(() => {
    const element = root.current;
    if (element === null) return;
    const page = element.ownerDocument;
    const view = {};
    let near = true;
    const tell = () => session.bridge.looks(view, near && page.visibilityState !== "hidden");
    const observer =
      typeof IntersectionObserver === "undefined"
        ? null
        : new IntersectionObserver((entries) => {
            near = entries.at(-1)?.isIntersecting ?? near;
            tell();
          });
    observer?.observe(element);
    page.addEventListener("visibilitychange", tell);
    tell();
    return () => {
      observer?.disconnect();
      page.removeEventListener("visibilitychange", tell);
      session.bridge.looks(view, false);
    };
  }, [session, root]);
}
