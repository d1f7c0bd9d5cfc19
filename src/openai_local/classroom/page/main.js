// The page: a key opens it, and then it asks the service every two seconds how things are.

import { Refusal, get, key } from "./api.js";
import { bar, bytes, make, mark, plural, say } from "./dom.js";
import { failed, history, queue, running } from "./jobs.js";
import { learners, losses } from "./learners.js";
import { playground } from "./playground.js";

const EVERY = 2000; // milliseconds
const PATIENCE = 8000; // how long a sentence stands
const PLACES = { local: "trains on this machine", slurm: "trains under Slurm" };
const find = (id) => document.getElementById(id);

let latest = null; // what the service said last
let shown = null; // how to show it: a list of functions
let timer = null;
let silence = null;
let round = 0;

const room = {
  now: () => latest.at,
  you: () => latest.you,
  refresh: look,
  tell: (sentence) => tell(sentence, "said"),
};

/** Show a sentence above the panels: `said` for a while, `lost` until the connection is back, "" none. */
function tell(sentence, kind) {
  clearTimeout(silence);
  say(find("line"), sentence);
  mark(find("line"), "data-kind", kind);
  if (kind === "said") silence = setTimeout(() => tell("", null), PATIENCE);
}

function open({ you }) {
  const panels = you.instructor
    ? [running(room, false), queue(room), failed(room), learners(room), losses(), history(room, false), playground(room)]
    : [running(room, true), history(room, true), playground(room)];
  find("panels").replaceChildren(...panels.map(({ element }) => element));
  find("panels").className = you.instructor ? "class" : "learner";
  say(find("title"), you.instructor ? "Class" : you.name);
  find("machine").replaceChildren();
  find("door").hidden = true;
  find("room").hidden = false;
  find("panels").focus({ preventScroll: true });
  document.title = `${find("title").textContent} · openai-local`;
  shown = [machine(find("machine")), ...panels.map(({ update }) => update)];
}

/** How busy the machine is. Returns a function that shows it. */
function machine(place) {
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

function close(sentence) {
  clearTimeout(timer);
  key.forget();
  latest = shown = null;
  round += 1; // what is still under way is not shown any more
  find("room").hidden = true;
  find("door").hidden = false;
  find("panels").replaceChildren();
  tell("", null);
  document.title = "openai-local";
  say(find("refused"), sentence);
  find("key").value = "";
  find("key").focus();
}

function show(snapshot) {
  latest = snapshot;
  if (!shown) open(snapshot);
  const { you, queue, runner } = snapshot;
  const role = you.instructor ? `${you.name === "instructor" ? "" : `${you.name}, `}instructor · ` : "";
  say(find("who"), `${role}${plural(queue.running, "job")} in training, ${queue.waiting} waiting · ${PLACES[runner.kind] ?? runner.kind}`);
  for (const update of shown) update(snapshot);
}

async function look() {
  clearTimeout(timer);
  const mine = (round += 1);
  let wait = EVERY;
  try {
    const snapshot = await get("class");
    if (mine !== round) return;
    if (find("line").dataset.kind === "lost") tell("", null);
    show(snapshot);
  } catch (error) {
    if (mine !== round) return;
    if (error.status === 401) return close("The service does not know this key. Look at your hand-out, or ask your instructor.");
    if (!(error instanceof Refusal)) throw error;
    if (!shown) return close(error.message);
    if (error.status !== 429) tell("Connection lost, trying again.", "lost");
    wait = Math.max(EVERY, error.wait * 1000);
  }
  if (!document.hidden) timer = setTimeout(look, wait);
}

find("enter").addEventListener("submit", (event) => {
  event.preventDefault();
  const given = find("key").value.trim();
  if (!/^[\x21-\x7e]+$/.test(given)) return close("A key has letters, digits and dashes only, without spaces.");
  say(find("refused"), "");
  key.keep(given);
  look();
});
find("leave").addEventListener("click", () => close(""));
document.addEventListener("visibilitychange", () => {
  if (document.hidden) clearTimeout(timer);
  else if (key.read()) look();
});

if (key.read()) look();
else close("");
