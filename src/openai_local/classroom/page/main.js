// The page: a key opens it, and then it asks the service every two seconds how things are.

import { Refusal, get, key } from "./api.js";
import { mark, say } from "./dom.js";
import { failed } from "./failed.js";
import { history } from "./history.js";
import { learners } from "./learners.js";
import { losses } from "./losses.js";
import { machine } from "./machine.js";
import { playground } from "./playground.js";
import { queue } from "./queue.js";
import { running } from "./running.js";
import { plural } from "./words.js";

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
  refresh: () => look(),
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
