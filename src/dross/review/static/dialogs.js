// The dialogs: another label with type-ahead, editing a text, a comment, the keys.

import { $, all, getJson, main, say } from "./core.js";

const SHOWN = 60; // labels that the list shows at once
let known = null; // all labels, fetched once

export function open(id) {
  const dialog = $(`#${id}`);
  dialog.returnValue = "";
  dialog.showModal();
  return dialog;
}

export const anyOpen = () => $("dialog[open]");

document.addEventListener("click", (event) => {
  const button = event.target.closest?.("[data-close]");
  if (button) button.closest("dialog").close();
});

/** Answers with what the person settles on, or null where the dialog is closed. */
function settled(dialog, save, value) {
  return new Promise((resolve) => {
    const button = $(save);
    const done = (event) => {
      event?.preventDefault();
      const answer = value();
      if (answer === undefined) return;
      finish(answer);
    };
    const keys = (event) => {
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) done(event);
    };
    const closed = () => finish(null);
    const finish = (answer) => {
      button.removeEventListener("click", done);
      dialog.removeEventListener("keydown", keys);
      dialog.removeEventListener("close", closed);
      if (dialog.open) dialog.close();
      resolve(answer);
    };
    button.addEventListener("click", done);
    dialog.addEventListener("keydown", keys);
    dialog.addEventListener("close", closed);
    dialog.settle = finish;
  });
}

// ---- labels ---------------------------------------------------------------------------------------------------------

/** The labels that contain the text: first those that begin with it, then where a word begins with it, then the rest. */
export function ranked(labels, text) {
  const wanted = text.trim().toLowerCase();
  if (!wanted) return labels;
  const rank = (label) => {
    const at = label.toLowerCase().indexOf(wanted);
    if (at < 0) return -1;
    if (at === 0) return label.length === wanted.length ? 0 : 1;
    return /[\s_\-./]/.test(label[at - 1]) ? 2 : 3;
  };
  const found = labels.map((label) => [rank(label), label]).filter(([r]) => r >= 0);
  return found.sort((a, b) => a[0] - b[0]).map(([, label]) => label);
}

/** Let the person choose a label (a list of them where rows have several); null where they do not. */
export async function pickLabel(start = []) {
  known ??= await getJson("/part/classes");
  if (!known) {
    say("The labels cannot be fetched.", "alert");
    return null;
  }
  const { labels, several } = known;
  const dialog = $("#pick"), input = $("#pick-text"), list = $("#pick-list"), note = $("#pick-note");
  const chosen = new Set(several ? start : []);
  let options = [], at = 0;
  input.value = "";

  const draw = () => {
    options = ranked(labels, input.value);
    at = Math.max(0, Math.min(at, Math.min(options.length, SHOWN) - 1));
    list.replaceChildren(...options.slice(0, SHOWN).map((label, i) => {
      const one = document.createElement("li");
      one.id = `pick-${i}`;
      one.role = "option";
      one.dir = "auto";
      one.textContent = label;
      one.setAttribute("aria-selected", String(i === at));
      one.classList.toggle("on", chosen.has(label));
      return one;
    }));
    input.setAttribute("aria-activedescendant", options.length ? `pick-${at}` : "");
    $("[aria-selected=true]", list)?.scrollIntoView({ block: "nearest" });
    note.textContent = !options.length
      ? labels.length ? "No label contains this." : "Enter takes what you typed."
      : options.length > SHOWN ? `${SHOWN} of ${options.length.toLocaleString("en")} labels; type to narrow` : "";
    const picked = $("#picked");
    picked.hidden = !several;
    picked.replaceChildren(...[...chosen].map((label) => {
      const chip = document.createElement("button");
      chip.type = "button";
      chip.textContent = `${label} ×`;
      chip.setAttribute("aria-label", `remove ${label}`);
      chip.addEventListener("click", () => { chosen.delete(label); draw(); input.focus(); });
      return chip;
    }));
  };
  const take = (label) => {
    if (label === undefined) return;
    if (!several) return dialog.settle(label);
    if (!chosen.delete(label)) chosen.add(label);
    input.value = "";
    draw();
  };
  const current = () => options[at] ?? (labels.length ? undefined : input.value.trim() || undefined);
  input.oninput = () => { at = 0; draw(); };
  input.onkeydown = (event) => {
    const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: 8, PageUp: -8 };
    if (event.key in steps) {
      event.preventDefault();
      at += steps[event.key];
      draw();
    } else if (event.key === "Enter" && !event.ctrlKey && !event.metaKey) {
      event.preventDefault();
      take(current());
    }
  };
  list.onclick = (event) => {
    const one = event.target.closest("li");
    if (one) take(options[Number(one.id.slice(5))]);
  };
  draw();
  open("pick");
  input.focus();
  return settled(dialog, "#pick-save", () => (several ? [...chosen] : current()));
}

// ---- texts ------------------------------------------------------------------------------------------------------------

/** Let the person edit one text of the row; answers {column, text}, or null where nothing changes. */
export async function editText(index) {
  const { issue, row } = main().dataset;
  const found = await getJson(`/part/text/${row}/${index}?issue=${encodeURIComponent(issue)}`);
  if (!found) {
    say("The text cannot be fetched.", "alert");
    return null;
  }
  const area = $("#edit-text");
  $("#edit-title").textContent = `Edit ${found.column} of row ${row}`;
  area.value = found.text;
  const before = area.value; // a textarea writes its own line ends
  const dialog = open("edit");
  area.focus();
  area.setSelectionRange(0, 0);
  area.scrollTop = 0;
  const text = await settled(dialog, "#edit-save", () => area.value);
  if (text === null) return null;
  if (text === before) {
    say("The text is as it was; nothing was saved.");
    return null;
  }
  return { column: found.column, text };
}

export async function writeComment() {
  const area = $("#comment-text");
  area.value = "";
  const dialog = open("comment");
  area.focus();
  return settled(dialog, "#comment-save", () => area.value.trim() || undefined);
}

// ---- keys -------------------------------------------------------------------------------------------------------------

/** Whether single keys act; a person who dictates or strays over keys can switch them off. */
export const keysOn = () => localStorage.getItem("dross:keys") !== "off";

const toggle = $("#keys-on");
toggle.checked = keysOn();
toggle.addEventListener("change", () => localStorage.setItem("dross:keys", toggle.checked ? "on" : "off"));

all("dialog").forEach((dialog) => dialog.addEventListener("click", (event) => {
  if (event.target === dialog) dialog.close(); // a click beside it
}));
