// The review page: one key each, links without a reload. The parts are in the modules beside this one.

import { $, arrived, go, main } from "./core.js";
import { anyOpen, keysOn, open } from "./dialogs.js";
import { act, next, previous, step } from "./item.js";
import { many, move, select } from "./queue.js";

const page = () => main().dataset.page;
const ON_ITEM = {
  k: "keep", a: "accept", l: "label", e: "edit", d: "drop", u: "unsure", c: "comment", i: "zoom", o: "ask",
};
const ON_LIST = { a: "accept", k: "keep", d: "drop", u: "unsure", l: "relabel" };
const MOVES = ["j", "K", "ArrowRight", "ArrowLeft", "ArrowDown", "ArrowUp"];

function itemKey(key) {
  if (key in ON_ITEM) return act(ON_ITEM[key], null) ?? true;
  if (key === "j" || key === "ArrowRight") return next() ?? true;
  if (key === "K" || key === "ArrowLeft") return previous() ?? true;
  if (key === "g") return go(main().dataset.back) ?? true;
  if (/^[1-9]$/.test(key)) {
    const button = $(`[data-key="${key}"]`);
    if (button) act("pick", button);
    return Boolean(button);
  }
  return false;
}

function listKey(key) {
  if (key in ON_LIST) return many(ON_LIST[key]) ?? true;
  if (MOVES.includes(key)) return move(key) ?? true;
  if (key === "x") return select() ?? true;
  if (key === "g") return go(main().dataset.other) ?? true;
  return false;
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing || anyOpen()) return;
  const on = event.target;
  // a dialog that has just closed may hold the focus for a moment still
  if (on.matches?.("textarea, select, audio, input:not([type=checkbox])") && !on.closest("dialog:not([open])")) return;
  const key = event.shiftKey && event.key.length === 1 ? event.key.toUpperCase() : event.key;
  const arrow = key.startsWith("Arrow");
  if (!keysOn() && !arrow && key !== "Escape") return;
  if (arrow && on.matches?.(".text, [role=radio]")) return; // scrolls what it is in
  const large = arrow && $(".picture.zoomed");
  if (large) {
    const by = { ArrowLeft: [-96, 0], ArrowRight: [96, 0], ArrowUp: [0, -96], ArrowDown: [0, 96] }[key];
    large.scrollBy(...by);
    return event.preventDefault();
  }
  let done = true;
  const menu = $("#queues[open]");
  if (key === "Escape" && menu) {
    menu.open = false;
    $("summary", menu).focus();
  } else if (key === "z" && page() !== "history") step("undo");
  else if (key === "Z") step("redo");
  else if (event.key === "?") open("help");
  else if (key === "/") done = Boolean(search());
  else if (page() === "item") done = itemKey(key);
  else if (page() === "queue") done = listKey(key);
  else done = false;
  if (done) event.preventDefault();
});

function search() {
  const field = $("#f-text");
  if (!field) return false;
  field.closest("details").open = true;
  field.focus();
  field.select();
  return true;
}

document.addEventListener("click", (event) => {
  if (event.defaultPrevented || event.button || event.ctrlKey || event.metaKey || event.shiftKey) return;
  const one = event.target.closest?.("[data-do], [data-many], a[data-go]");
  if (!one) return;
  if (one.dataset.many) return void many(one.dataset.many);
  if (one.dataset.do === "help") return void open("help");
  if (one.dataset.do && one.dataset.do !== "grid") {
    event.preventDefault();
    return void act(one.dataset.do, one);
  }
  event.preventDefault();
  go(one.getAttribute("href"));
});

// The menu of the queues closes when something else is wanted.
document.addEventListener("click", (event) => {
  const menu = $("#queues");
  if (menu?.open && !(event.target.closest?.("#queues") === menu)) menu.open = false;
});

document.addEventListener("htmx:response:error", () => {
  const waiting = $(".skeleton");
  if (waiting) waiting.outerHTML = '<p class="small">The plots could not be drawn.</p>';
});

arrived();
