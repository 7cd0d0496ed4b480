// The customer's screen: shows what GET /v1/screen says, and nothing once it cannot be asked. Nothing is written with
// innerHTML: what comes from the service is text.
"use strict";

const WAIT_S = 2; // a waiting request is answered after this, so that silence is noticed
const LOST_MS = 4000; // after the last answer: from there on what is on the screen may be wrong
const RETRY_MS = 500; // between two requests while the service does not answer
const GUARD_MS = 250; // a touch this soon after a new scene was meant for the one before
const SCALES = [1.3, 1.2, 1.1, 1, 0.92, 0.84, 0.77, 0.7, 0.64, 0.58, 0.5, 0.42, 0.34, 0.26];
const SHARES = [0.66, 0.63, 0.6, 0.56, 0.5, 0.44, 0.36]; // of the panel's longer side that a code may take
const DRAWINGS = { wait: "spinner", paid: "tick", unpaid: "cross", attendant: "attendant", out_of_service: "wrench" };
const LABELS = { ru: "Осталось", en: "Time left" };

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
      const code = state.qr ? await load(state.qr.svg) : null;
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

function sceneOf(state) {
  if (state.view !== "pay") return [state.view, DRAWINGS[state.view] || ""];
  if (state.qr) return ["qr", ""];
  return state.plate ? ["plate", "tap-or-scan"] : ["wait", "spinner"];
}

function show(state, image) {
  shown = state;
  sceneAt = now();
  const language = state.language === "en" ? "en" : "ru";
  const texts = state.texts[language];
  const [scene, drawing] = sceneOf(state);
  document.documentElement.lang = language;
  document.title = texts.headline || "Касса";
  paint(scene, drawing, texts.headline, texts.lines, state.amount_text ? state.amount_text[language] : "");
  $("code").hidden = image === null;
  $("code").alt = image === null ? "" : "QR";
  if (image === null) $("code").removeAttribute("src");
  else $("code").src = image.src;
  $("timer").hidden = state.expires_at_ms === null;
  $("label").textContent = LABELS[language];
  $("buttons").replaceChildren(...state.buttons.map((button) => buttonOf(button, language, state)));
  tick();
  fit();
}

function outOfService() {
  shown = null;
  known = 0;
  loaded = { url: "", image: null };
  const language = document.documentElement.lang;
  const words = $("lost").content.querySelector(`[lang=${language}]`).textContent;
  document.title = words;
  paint("out_of_service", "wrench", words, [], "");
  $("code").hidden = true;
  $("code").removeAttribute("src");
  $("timer").hidden = true;
  $("buttons").replaceChildren();
  fit();
}

function paint(scene, drawing, headline, lines, amount) {
  const main = $("scene");
  main.dataset.scene = scene;
  main.dataset.drawing = drawing;
  $("drawing").toggleAttribute("hidden", drawing === "");
  $("drawing").firstElementChild.setAttribute("href", `#${drawing}`);
  $("headline").replaceChildren(...wordsOf(headline));
  $("lines").replaceChildren(...lines.map((line) => element("p", ...wordsOf(line))));
  $("amount").textContent = amount;
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

// The largest words, and then the largest code, with which nothing is cut off.
function fit() {
  const root = document.documentElement.style;
  const image = $("code").hidden ? null : loaded.image;
  const wide = innerWidth, high = innerHeight, beside = wide >= high * 1.15;
  const margin = Math.min(wide, high) * (beside ? 0.06 : 0.1);
  for (const share of image === null ? [0] : SHARES) {
    if (image !== null) {
      const room = Math.min(Math.min(wide, high) - margin, Math.max(wide, high) * share);
      const modules = Math.max(21, image.naturalWidth);
      const step = 1 / (devicePixelRatio || 1); // whole device pixels for each module keep the edges sharp
      root.setProperty("--side", `${Math.max(1, Math.floor(room / modules / step)) * step * modules}px`);
    }
    for (const scale of SCALES) {
      if (image !== null && share > 0.5 && scale < 0.77) break; // rather a smaller code than tiny words
      if (image !== null && scale > 1) continue;
      root.setProperty("--scale", scale);
      if (fits()) return;
    }
  }
}

function fits() {
  const main = $("scene"), words = $("words"), buttons = $("buttons");
  const over = (box) => box.scrollWidth > box.clientWidth + 1 || box.scrollHeight > box.clientHeight + 1;
  if (over(main) || over(words) || [...buttons.children].some(over)) return false;
  return words.getBoundingClientRect().width >= $("says").getBoundingClientRect().width;
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
  if (choosing) return; // one finger, one choice: the service takes the first one only
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
