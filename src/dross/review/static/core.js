// What every part of the review page uses: asking the server, saying what was done, going from page to page.

export const $ = (selector, root = document) => root.querySelector(selector);
export const all = (selector, root = document) => [...root.querySelectorAll(selector)];
export const main = () => $("#main");

const FRESH = 30_000; // ms for which a page that was fetched ahead may be shown
const KEPT = 500; // visited rows that "previous" goes back through
const ahead = new Map();
let going = 0;

// ---- saying -------------------------------------------------------------------------------------------------------

let fading;

/** Say what was done, to eyes and to screen readers. */
export function say(words, kind = "status") {
  const toast = $("#toast");
  toast.textContent = words;
  toast.classList.add("shown");
  if (kind === "alert") $("#alarm").textContent = words;
  clearTimeout(fading);
  fading = setTimeout(() => toast.classList.remove("shown"), kind === "alert" ? 9000 : 4500);
}

// ---- asking the server --------------------------------------------------------------------------------------------

/** POST as JSON; answers {ok, status, body} and never throws. */
export async function post(path, body) {
  try {
    const answer = await fetch(path, {
      method: "POST",
      headers: { "Content-Type": "application/json", Accept: "application/json" },
      body: JSON.stringify(body),
    });
    const text = await answer.text();
    let parsed = null;
    try { parsed = text ? JSON.parse(text) : null; } catch { parsed = null; }
    return { ok: answer.ok, status: answer.status, body: parsed };
  } catch {
    return { ok: false, status: 0, body: null };
  }
}

export async function getJson(path) {
  try {
    const answer = await fetch(path, { headers: { Accept: "application/json" } });
    return answer.ok ? await answer.json() : null;
  } catch {
    return null;
  }
}

/** Why the server refused, in a person's words. */
export function refusal(answer) {
  if (answer.status === 0) return "The server does not answer; nothing was saved.";
  if (answer.status === 401 || answer.status === 403) return "This page is signed out; open the address that dross printed again.";
  const { what, fix } = answer.body ?? {};
  return what ? `${what}${fix ? `. ${fix}` : ""}` : `The server refused (${answer.status}); nothing was saved.`;
}

// ---- going from page to page --------------------------------------------------------------------------------------

async function fetched(url) {
  const answer = await fetch(url, { headers: { Accept: "text/html" } });
  return { at: Date.now(), url: answer.redirected ? answer.url : url, text: await answer.text(), ok: answer.ok };
}

/** Fetch a page that will probably be asked for next, and its picture. */
export function prefetch(url) {
  if (!url || ahead.has(url)) return;
  const coming = fetched(url);
  ahead.set(url, coming);
  coming.then((page) => {
    const source = /<img src="(\/pictures\/\d+\?size=512)"/.exec(page.text)?.[1];
    if (source) new Image().src = source;
  }).catch(() => ahead.delete(url));
}

export const forget = () => ahead.clear();

async function taken(url) {
  const known = ahead.get(url);
  ahead.delete(url);
  if (known) {
    const page = await known.catch(() => null);
    if (page?.ok && Date.now() - page.at < FRESH) return page;
  }
  return fetched(url);
}

const absolute = (url) => new URL(url, location.href);

/** Show another page in place of this one; its address goes into the browser's history. */
export async function go(url, { push = true, keep = false } = {}) {
  const turn = ++going;
  let page;
  try {
    page = await taken(url);
  } catch {
    return say("The server does not answer.", "alert");
  }
  if (turn !== going) return; // somebody asked for another page meanwhile
  const next = new DOMParser().parseFromString(page.text, "text/html");
  const fresh = $("#main", next);
  if (!fresh || !page.ok) {
    location.assign(url);
    return;
  }
  const held = held_focus();
  const address = absolute(page.url);
  if (push && address.href !== location.href) history.pushState({ dross: true }, "", address);
  document.title = next.title;
  const head = $(".top", next);
  if (head) $(".top").replaceWith(document.adoptNode(head));
  main().replaceWith(document.adoptNode(fresh));
  window.htmx?.process(main());
  if (!keep) window.scrollTo(0, 0);
  refocus(held);
  arrived();
}

function held_focus() {
  const one = document.activeElement;
  if (!one || one === document.body) return null;
  return one.dataset?.do ? `#main [data-do="${one.dataset.do}"]` : one.id && main().contains(one) ? `#${CSS.escape(one.id)}` : null;
}

function refocus(selector) {
  const one = selector && $(selector);
  (one && !one.disabled ? one : $("h1", main()) ?? main()).focus({ preventScroll: true });
}

/** Tell all parts that a page is there. */
export function arrived() {
  document.dispatchEvent(new CustomEvent("dross:page", { detail: { main: main(), page: main().dataset.page } }));
}

window.addEventListener("popstate", () => {
  forget();
  go(location.href, { push: false });
});

// ---- the rows that were looked at ---------------------------------------------------------------------------------

const track = (issue) => `dross:seen:${issue}`;

function visited(issue) {
  try {
    const known = JSON.parse(sessionStorage.getItem(track(issue)));
    if (Array.isArray(known?.urls)) return known;
  } catch { /* nothing is kept, or it is damaged: begin anew */ }
  return { urls: [], at: -1 };
}

/** Note that a row is shown. */
export function note(issue, url) {
  const known = visited(issue);
  if (known.urls[known.at] !== url) {
    const before = known.urls.lastIndexOf(url);
    if (before >= 0 && Math.abs(before - known.at) === 1) {
      known.at = before;
    } else {
      known.urls = [...known.urls.filter((one) => one !== url), url].slice(-KEPT);
      known.at = known.urls.length - 1;
    }
  }
  try { sessionStorage.setItem(track(issue), JSON.stringify(known)); } catch { /* no room: "previous" ends here */ }
  return known;
}

/** Whether a row was looked at already. */
export const looked = (issue, url) => visited(issue).urls.includes(url);

/** The row that was looked at before or after this one; null where there is none. */
export function beside(issue, step) {
  const known = visited(issue);
  return known.urls[known.at + step] ?? null;
}
