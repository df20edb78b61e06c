/** The stream, read off the page's thread: what changes in ten thousand accounts comes as megabytes of JSON. */

export interface Message { channel: string; sequence: number; data: unknown }
export type Told = { told: "open" } | { told: "closed" } | { told: "message"; message: Message };

/** Rows that are handed over at a time: the page's thread copies what it is handed. */
const ROWS = 100;
const scope = self as unknown as { onmessage: (event: MessageEvent<string>) => void; postMessage: (told: Told) => void };
let asked: WebSocket;

/** The first message is the stream's address; each further one is sent as it is. */
scope.onmessage = ({ data }) => {
  if (asked) return asked.send(data);
  asked = new WebSocket(data);
  asked.onopen = () => scope.postMessage({ told: "open" });
  asked.onclose = () => scope.postMessage({ told: "closed" });
  asked.onmessage = (event) => {
    const message = JSON.parse(event.data as string) as Message;
    if (message.channel !== "accounts" || !Array.isArray(message.data)) return scope.postMessage({ told: "message", message });
    for (let first = 0; first < message.data.length; first += ROWS)
      scope.postMessage({ told: "message", message: { ...message, data: message.data.slice(first, first + ROWS) } });
  };
};
