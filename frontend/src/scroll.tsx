/** A table that may be wider than the screen; only then is it a stop for Tab, from which the arrows scroll it. */
import type { ComponentChildren } from "preact";
import { useLayoutEffect, useRef, useState } from "preact/hooks";

export function Scroll({ name, children }: { name: string; children: ComponentChildren }) {
  const box = useRef<HTMLDivElement>(null);
  const [over, setOver] = useState(false);
  useLayoutEffect(() => {
    const measure = (): void => setOver(box.current !== null && box.current.scrollWidth > box.current.clientWidth + 1);
    measure();
    const watch = new ResizeObserver(measure);
    for (const each of [box.current!, ...box.current!.children]) watch.observe(each);
    return () => watch.disconnect();
  }, []);
  return <div class="scroll" ref={box} {...(over ? { role: "region", tabIndex: 0, "aria-label": name } : {})}>{children}</div>;
}
