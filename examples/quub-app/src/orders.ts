import type { Cache } from "./cache.js";
import type { Order, QuubClient } from "./quub/client.js";

/** Keeps the cache in step with the order stream; an event may come twice. What goes wrong is told to `onError`. */
export function followOrders(
  stream: { on(name: "order", listener: (event: unknown) => void): unknown },
  cache: Cache,
  quub: Pick<QuubClient, "getOrder">,
  onError: (error: unknown) => void,
): void {
  stream.on("order", (event) => {
    const { id } = event as Partial<Order>;
    if (typeof id === "string") {
      cache
        .invalidate(`order:${id}`)
        .then(() => cache.through(`order:${id}`, () => quub.getOrder(id)))
        .catch(onError);
    }
  });
}
