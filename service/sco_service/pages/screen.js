// The customer's screen: shows what GET /v1/screen says, and nothing once it cannot be asked. Nothing is written with
// innerHTML: what comes from the service is text.
"use strict";

const WAIT_S = 2; // a waiting request is answered after this, so that silence is noticed
const LOST_MS = 4000; // after the last answer: from there on what is on the screen may be wrong
const RETRY_MS = 500; // between two requests while the service does not answer
const GUARD_MS = 250; // a touch this soon after a new scene was meant for the one before
const SCALES = [1.3, 1.2, 1.1, 1, 0.92, 0.84, 0.77, 0.7, 0.64, 0.58, 0.5, 0.42, 0.34, 0.26];
const SHARES = [0.56, 0.52, 0.48, 0.44, 0.4, 0.34, 0.28]; // of the panel's longer side that a code or drawing may take
const DRAWINGS = { wait: "spinner", paid: "tick", unpaid: "cross", attendant: "attendant", out_of_service: "wrench" };

const $ = (id) => document.getElementById(id);
const now = () => performance.now();
let shown = null; // the state on the screen; null while there is none that holds
let known = 0; // its version, to wait for another one; 0 after silence: a restarted service may count from the start
let heard = now(); // when the last answer came
let clock = { service_ms: 0, at: 0 };
let sceneAt = 0;

// --- asking ---------------------------------------------------------------------------------------------------------

async function ask(url, options = {}) {
  const abort = new AbortController();
  const timer = setTimeout(() => abort.abort(), LOST_MS);
  try {
    return await fetch(url, { cache: "no-store", credentials: "omit", redirect: "error", ...options, signal: abort.signal });
  } finally {
    clearTimeout(timer);
  }
}

async function follow() {
  for (;;) {
    try {
      const answer = await ask(`/v1/screen?after=${known}&wait_s=${known ? WAIT_S : 0}`);
      if (!answer.ok) throw new Error(`HTTP ${answer.status}`);
      const state = await answer.json();
      const came = now();
      const code = state.qr ? await load(`${state.qr.png}&module_px=1`) : null;
      if (now() - came > LOST_MS) throw new Error("the code came too late");
      heard = came;
      clock = { service_ms: state.now_ms, at: came };
      known = state.version;
      if (shown === null || content(shown) !== content(state)) show(state, code);
      else offer(); // a choice that did not get through may be made again
    } catch (error) {
      console.warn(String(error));
      known = 0;
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    }
  }
}

const content = (state) => JSON.stringify({ ...state, now_ms: 0 });

let loaded = { url: "", image: null };
async function load(url) {
  if (loaded.url === url) return loaded.image;
  const image = new Image();
  image.src = url;
  await Promise.race([
    image.decode(),
    new Promise((_, refuse) => setTimeout(() => refuse(new Error("no code")), LOST_MS)),
  ]);
  loaded = { url, image };
  return image;
}

// --- showing --------------------------------------------------------------------------------------------------------

// The scene's name, its drawing, and whether that is a sign or guides the customer.
function sceneOf(state) {
  if (state.view !== "pay") return [state.view, DRAWINGS[state.view] ?? "", "sign"];
  if (state.plate) return ["plate", "tap-or-scan", "guide"];
  if (state.ticket) return ["ticket", "ticket", "guide"];
  return state.qr ? ["qr", "", "guide"] : ["wait", "spinner", "sign"];
}

function show(state, image) {
  shown = state;
  sceneAt = now();
  const language = state.language === "en" ? "en" : "ru";
  const texts = state.texts[language];
  const [scene, drawing, figure] = sceneOf(state);
  document.documentElement.lang = language;
  document.title = texts.headline || "Касса";
  $("code").hidden = image === null;
  $("code").alt = image === null ? "" : "QR";
  if (image === null) $("code").removeAttribute("src");
  else $("code").src = image.src;
  $("timer").hidden = state.expires_at_ms === null;
  $("label").textContent = texts.expires_text;
  paint(scene, drawing, figure, texts.headline, texts.lines, {
    prominent: state.prominent,
    amount: state.amount_text?.[language],
    number: texts.case_text,
    hint: texts.status ? "" : texts.hint,
    status: texts.status,
  });
  $("busy").toggleAttribute("hidden", scene !== "ticket");
  $("buttons").replaceChildren(...state.buttons.map((button) => buttonOf(button, language, state)));
  tick();
  fit();
}

function outOfService() {
  shown = null;
  loaded = { url: "", image: null };
  const language = document.documentElement.lang;
  const words = $("lost").content.querySelector(`[lang=${language}]`).textContent;
  document.title = words;
  $("code").hidden = true;
  $("code").removeAttribute("src");
  $("timer").hidden = true;
  paint("out_of_service", "wrench", "sign", words, []);
  $("buttons").replaceChildren();
  fit();
}

function paint(scene, drawing, figure, headline, lines, { prominent = 0, amount = "", number = "", hint = "", status = "" } = {}) {
  Object.assign($("scene").dataset, { scene, drawing, figure });
  $("drawing").toggleAttribute("hidden", drawing === "");
  $("figure").hidden = drawing === "" && $("code").hidden;
  $("drawing").firstElementChild.setAttribute("href", `#${drawing}`);
  $("busy").toggleAttribute("hidden", true);
  $("headline").replaceChildren(...wordsOf(headline));
  $("lines").replaceChildren(...lines.map((line, n) => {
    const made = element("p", ...wordsOf(line));
    made.className = n < prominent ? "prominent" : "";
    return made;
  }));
  $("number").textContent = number;
  $("amount").textContent = amount;
  $("hint").textContent = hint;
  $("doing").textContent = status;
  $("status").toggleAttribute("hidden", status === "");
}

function element(name, ...children) {
  const made = document.createElement(name);
  made.append(...children);
  return made;
}

// Lines break at a comma if they can, and never in a word with a hyphen: "QR-код".
function wordsOf(text) {
  const clauses = text.split(/(?<=,) /).map((clause) => {
    const parts = clause.split(/(\S+-\S+)/).map((part, n) => (n % 2 ? styled("whole", part) : part));
    return styled("clause", ...parts);
  });
  return clauses.flatMap((clause, n) => (n ? [" ", clause] : [clause]));
}

function styled(name, ...children) {
  const made = element("span", ...children);
  made.className = name;
  return made;
}

function tick() {
  if (shown === null || shown.expires_at_ms === null) return;
  const left = Math.max(0, Math.ceil((shown.expires_at_ms - clock.service_ms - (now() - clock.at)) / 1000));
  $("left").textContent = `${Math.floor(left / 60)}:${String(left % 60).padStart(2, "0")}`;
}

// The largest words with which nothing is cut off. Before they get tiny, the code or drawing gets smaller.
function fit() {
  const root = document.documentElement.style;
  const wide = innerWidth, high = innerHeight, beside = wide >= high * 1.15, edge = Math.min(wide, high) * 0.04;
  const guide = $("scene").dataset.figure === "guide";
  const image = $("code").hidden ? null : loaded.image;
  for (const share of guide ? SHARES : [0]) {
    for (const scale of SCALES) {
      if (guide && ((share > 0.4 && scale < 0.77) || (share > 0.48 && image === null) || scale > 1.1)) continue;
      root.setProperty("--scale", scale);
      const buttons = $("buttons").getBoundingClientRect().height;
      root.setProperty("--buttons", `${buttons}px`);
      if (guide) {
        const room = beside ? Math.min(high - 2 * edge - buttons, wide * share) : Math.min(wide - 2 * edge, high * share);
        place(root, image, room);
      }
      if (fits()) return;
    }
  }
}

// Give code and drawing their sizes in px, in a square of `room` px. The drawing leads, where there is one.
function place(root, image, room) {
  const both = image !== null && $("scene").dataset.drawing !== "";
  const step = 1 / (devicePixelRatio || 1); // whole device pixels for each module keep the edges sharp
  const modules = image === null ? 0 : image.naturalWidth;
  const side = image === null ? 0 : Math.max(1, Math.floor((both ? room * 0.46 : room) / modules / step)) * step * modules;
  root.setProperty("--side", `${side}px`);
  root.setProperty("--drawing", `${both ? room * 0.48 : room}px`);
  root.setProperty("--room", `${both && innerWidth >= innerHeight * 1.15 ? room * 0.6 : room}px`);
}

function fits() {
  const main = $("scene"), says = $("says"), buttons = $("buttons");
  const over = (box) => box.scrollWidth > box.clientWidth + 1 || box.scrollHeight > box.clientHeight + 1;
  const out = (button) => over(button) || button.getBoundingClientRect().left < 0; // what overflows there scrolls nothing
  return !over(main) && !over(says) && ![...buttons.children].some(out);
}

// --- choosing -------------------------------------------------------------------------------------------------------

function buttonOf(button, language, state) {
  const made = document.createElement("button");
  made.type = "button";
  made.textContent = button.text[language];
  made.className = button.primary ? "primary" : "";
  made.addEventListener("click", (event) => {
    if (shown !== state || now() - sceneAt < GUARD_MS || made.getAttribute("aria-disabled") === "true") return;
    event.preventDefault();
    choose(state, button.id);
  });
  return made;
}

let choosing = false;
async function choose(state, button) {
  choosing = true;
  for (const one of $("buttons").children) one.setAttribute("aria-disabled", "true");
  try {
    const answer = await ask(`/v1/payments/${encodeURIComponent(state.payment ?? state.attempt)}/choice`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ button }),
    });
    refused = !answer.ok && answer.status >= 500;
  } catch (error) {
    console.warn(String(error));
    refused = true;
  } finally {
    choosing = false;
  }
}

let refused = false; // the last choice may not have arrived: the service itself takes no choice twice
function offer() {
  if (!refused || choosing) return;
  refused = false;
  for (const one of $("buttons").children) one.removeAttribute("aria-disabled");
}

setInterval(() => {
  if (now() - heard > LOST_MS && $("scene").dataset.scene !== "out_of_service") outOfService();
  tick();
}, 200);
addEventListener("resize", fit);
document.fonts.ready.then(fit);
addEventListener("contextmenu", (event) => event.preventDefault());
follow();
