// Talking to the service, with the key that was typed in. The key lies in this tab's memory and nowhere else.

const ROOT = new URL("../v1/", import.meta.url); // beside this page, under whatever prefix that is
const PLACE = "openai-local key";

export const key = {
  read: () => sessionStorage.getItem(PLACE),
  keep: (value) => sessionStorage.setItem(PLACE, value),
  forget: () => sessionStorage.removeItem(PLACE),
};

/** An answer that says no: its HTTP status (0: there was none), a sentence, and how many seconds to wait. */
export class Refusal extends Error {
  constructor(status, message, wait) {
    super(message);
    this.status = status;
    this.wait = wait;
  }
}

async function send(path, { method = "GET", body, signal } = {}) {
  const answer = await fetch(new URL(path, ROOT), {
    method,
    signal,
    cache: "no-store",
    credentials: "same-origin",
    headers: { authorization: `Bearer ${key.read()}`, ...(body && { "content-type": "application/json" }) },
    body: body && JSON.stringify(body),
  });
  if (answer.ok) return answer;
  const said = await answer.json().catch(() => null);
  const message = said?.error?.message ?? `The service answered ${answer.status}.`;
  throw new Refusal(answer.status, message, Number(answer.headers.get("retry-after")) || 0);
}

/** The answer's JSON. Whatever comes in between is a `Refusal` too. */
async function whole(path, method) {
  try {
    return await (await send(path, { method, signal: AbortSignal.timeout(20_000) })).json();
  } catch (error) {
    throw error instanceof Refusal ? error : new Refusal(0, "The service does not answer. Try again in a moment.", 0);
  }
}

/** Get something; returns the answer's JSON. */
export const get = (path) => whole(path, "GET");

/** Tell the service to do something; returns the answer's JSON. */
export const post = (path) => whole(path, "POST");

/** Ask a model. Calls `more` with each piece of the answer as it comes. */
export async function complete(body, more, signal) {
  const answer = await send("completions", { method: "POST", body: { ...body, stream: true }, signal });
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  for (let part = await reader.read(); !part.done; part = await reader.read()) {
    const lines = (rest + part.value).split("\n");
    rest = lines.pop();
    for (const line of lines) {
      if (!line.startsWith("data: ") || line === "data: [DONE]") continue;
      const piece = JSON.parse(line.slice(6));
      if (piece.error) throw new Refusal(500, piece.error.message, 0);
      more(piece.choices[0]?.text ?? "");
    }
  }
}
