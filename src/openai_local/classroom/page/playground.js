// Ask a model something, and read its answer as it comes.

import { Refusal, complete, get } from "./api.js";
import { make, panel, say } from "./dom.js";

export function playground(room) {
  const { element, body } = panel("Playground", "playground");
  const model = make("select", { id: "model" });
  const prompt = make("textarea", { id: "prompt", rows: "3", required: "", spellcheck: "false" });
  const length = make("input", { id: "length", type: "number", min: "1", max: "1000", value: "100", required: "" });
  const warmth = make("input", { id: "warmth", type: "range", min: "0", max: "2", step: "0.1", value: "0" });
  const degree = make("output", { for: "warmth" }, "0");
  const ask = make("button", { class: "main" }, "Ask");
  const answer = make("p", { class: "answer", role: "status", "aria-label": "Answer", tabindex: "0" });
  const field = (word, input, ...more) => make("div", { class: "field" }, make("label", { for: input.id }, word, ...more), input);
  const form = make("form", {},
    field("Model", model),
    field("Prompt", prompt),
    make("div", { class: "pair" }, field("Tokens at most", length), field("Temperature ", warmth, degree)),
    ask);
  body.append(form, answer);
  warmth.addEventListener("input", () => say(degree, warmth.value));
  prompt.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.requestSubmit();
  });

  let asking = null;
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (asking) return asking.abort();
    asking = new AbortController();
    say(ask, "Stop");
    answer.className = "answer";
    answer.textContent = "";
    answer.setAttribute("aria-busy", "true");
    const question = { model: model.value, prompt: prompt.value, max_tokens: Number(length.value), temperature: Number(warmth.value) };
    try {
      await complete(question, (text) => answer.append(answer.textContent ? text : text.trimStart()), asking.signal);
      if (!answer.textContent.trim()) answer.append("(The model answered with nothing.)");
    } catch (error) {
      if (error.name !== "AbortError") {
        answer.classList.add("wrong");
        answer.textContent = error instanceof Refusal ? error.message : "The connection was lost. Try again.";
      }
    }
    answer.removeAttribute("aria-busy");
    asking = null;
    say(ask, "Ask");
  });

  let known = null;
  const update = async ({ jobs }) => {
    const now = jobs.map((job) => job.fine_tuned_model).filter(Boolean).join(" ");
    if (now === known) return;
    known = now;
    try {
      const { data } = await get("models");
      const chosen = model.value;
      const newest = data.find((one) => one.owned_by === room.you().name && !one.id.includes(":ckpt-"));
      model.replaceChildren(...data.map(({ id }) => make("option", { value: id }, id)));
      model.value = data.some(({ id }) => id === chosen) && prompt.value ? chosen : (newest ?? data[0])?.id;
    } catch {
      known = null; // the next round tries again
    }
  };
  return { element, update };
}
