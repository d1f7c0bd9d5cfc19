// How busy the machine is.

import { make, mark, say } from "./dom.js";
import { bar } from "./jobs.js";
import { bytes } from "./words.js";

export function machine(place) {
  const parts = ["Processor", "Memory"].map((word) => {
    const words = make("span", { class: "small" });
    const length = bar();
    place.append(make("p", {}, make("span", { class: "quiet small" }, word), words, length.element));
    return { words, length };
  });
  const [processor, memory] = parts;
  return ({ machine: { cpu, load, memory_used: used, memory_total: total } }) => {
    say(processor.words, `${Math.round(cpu)} %`);
    processor.length.show(cpu / 100);
    mark(place, "title", load ? `Load: ${load.map((number) => number.toFixed(1)).join(" · ")}` : null);
    say(memory.words, `${Math.round((used / total) * 100)} % of ${bytes(total)}`);
    memory.length.show(used / total);
  };
}
