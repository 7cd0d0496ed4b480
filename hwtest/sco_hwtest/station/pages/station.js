// The page at the bench. It keeps nothing but its own name: after a reload or a lost network the bench tells it all.
// Nothing is written with innerHTML: what comes from the bench is text.
"use strict";

const WAIT_S = 10;
const PATIENCE_MS = (WAIT_S + 5) * 1000;
const AGAIN_MS = 1000;
const NOTICE_MS = 8000;
const at = (id) => document.getElementById(id);
const client = ownName();
let state = null;
let lost = false;
let locked = false;
let sure = false;
let pending = null; // the answer that is on its way: {question, answer}
let noticed = 0;
let shown = ""; // the card in front

function ownName() {
  const fresh = () => Array.from(crypto.getRandomValues(new Uint8Array(12)), (n) => n.toString(16).padStart(2, "0")).join("");
  try {
    const kept = localStorage.getItem("station") || fresh();
    localStorage.setItem("station", kept);
    return kept;
  } catch {
    return fresh(); // a browser that keeps nothing
  }
}

const sleep = (ms) => new Promise((done) => {
  const timer = setTimeout(done, ms);
  addEventListener("online", () => { clearTimeout(timer); done(); }, { once: true });
});

async function ask(path, body) {
  const control = new AbortController();
  const timer = setTimeout(() => control.abort(), PATIENCE_MS);
  try {
    const answer = await fetch(path, {
      method: body ? "POST" : "GET", cache: "no-store", credentials: "same-origin", signal: control.signal,
      ...(body && { headers: { "Content-Type": "application/json" }, body: JSON.stringify({ client, ...body }) }),
    });
    return { status: answer.status, data: await answer.json() };
  } finally {
    clearTimeout(timer);
  }
}

async function follow() {
  while (!locked && !(state && state.closed)) {
    try {
      // After a loss it asks without waiting: the banner goes as soon as the bench answers.
      const version = state ? state.version : 0;
      const { status, data } = await ask(`/state?client=${client}&after=${version}&wait_s=${lost ? 0 : WAIT_S}`);
      if (status === 401) locked = true;
      else if (status !== 200) throw new Error(data.detail);
      else state = data;
      lost = false;
    } catch {
      lost = true;
      show();
      await sleep(AGAIN_MS);
    }
    show();
  }
}

// The same request until it is answered: the bench knows an answer that comes twice.
async function send(path, body) {
  for (;;) {
    try {
      const { status, data } = await ask(path, body);
      if (status === 401) locked = true;
      if (status >= 400) notice(data.detail);
      return status < 400;
    } catch {
      lost = true;
      show();
      await sleep(AGAIN_MS);
    }
  }
}

async function answer(value) {
  if (pending || !state.question) return;
  pending = { question: state.question.number, answer: value };
  show();
  if (!await send("/answer", pending)) pending = null;
  show();
}

function notice(words) {
  at("notice").textContent = words;
  noticed = Date.now();
  setTimeout(show, NOTICE_MS + 10);
}

function make(tag, words, kind) {
  const one = document.createElement(tag);
  if (words) one.textContent = words;
  if (kind) one.className = kind;
  return one;
}

const plain = (name) => name.replaceAll("-", " ");

function show() {
  at("lost").hidden = !lost;
  at("notice").hidden = Date.now() - noticed > NOTICE_MS;
  at("locked").hidden = !locked;
  if (!state) return;
  const over = state.closed || locked;
  const question = over ? null : state.question;
  const report = over ? null : state.report;
  if (pending && state.question?.number !== pending.question) pending = null;
  const sent = Boolean(pending);
  at("stop").hidden = over || Boolean(report) || state.stopping || !state.yours;
  at("sure").hidden = !sure || at("stop").hidden;
  at("question").hidden = !question;
  at("working").hidden = over || Boolean(question) || Boolean(report);
  at("report").hidden = !report;
  at("over").hidden = !state.closed || locked;
  at("who").textContent = over ? "" : [
    state.yours ? "You answer here" : "You are watching",
    state.others ? `${state.others} more ${state.others === 1 ? "browser" : "browsers"}` : "",
  ].filter(Boolean).join(" · ");
  at("now").textContent = over ? "" : report ? "The test has ended" : question ? (state.yours ? "A question for you" : "A question is open")
    : state.stopping ? "Stopping after this check" : "Testing";
  if (question) showQuestion(question);
  const front = [...at("front").children].find((one) => !one.hidden)?.id;
  if (front !== shown) scrollTo(0, 0);
  shown = front;
  for (const one of document.querySelectorAll("#answers button")) one.disabled = sent;
  at("answers").hidden = !state.yours;
  at("sending").hidden = !sent;
  at("watching").hidden = state.yours;
  at("close").hidden = !state.yours;
  at("take-end").hidden = state.yours;
  if (report) {
    at("verdict").className = `card ${report.style}`;
    at("verdict-word").textContent = report.headline;
    at("summary").textContent = report.summary;
  }
  showDevices();
}

function showQuestion(question) {
  const card = at("question");
  if (card.dataset.number === String(question.number)) return;
  card.dataset.number = question.number;
  at("text").textContent = question.text;
  at("advice").textContent = question.if_no ? `If not: ${question.if_no}.` : "";
  const seen = question.pictures.map((picture) => {
    const figure = make("figure");
    const image = make("img");
    image.src = picture.path;
    image.alt = picture.caption;
    const larger = make("button");
    larger.type = "button";
    larger.append(image);
    larger.addEventListener("click", () => figure.classList.toggle("large"));
    figure.append(larger, make("figcaption", picture.caption));
    return figure;
  });
  if (document.getElementById(`d-${question.name}`)) seen.push(drawing(question.name));
  at("seen").replaceChildren(...seen);
  at("text").focus({ preventScroll: true });
  scrollTo(0, 0);
}

function drawing(name) {
  const space = "http://www.w3.org/2000/svg";
  const picture = document.createElementNS(space, "svg");
  picture.setAttribute("class", "drawing");
  picture.setAttribute("aria-hidden", "true");
  const use = document.createElementNS(space, "use");
  use.setAttribute("href", `#d-${name}`);
  picture.append(use);
  return picture;
}

function showDevices() {
  const running = state.devices.find((device) => device.state === "running");
  at("doing").textContent = running ? plain(running.running || "") || "…" : "Starting";
  at("doing-where").textContent = running ? `${running.label}, ${running.url}` : "";
  at("devices").replaceChildren(...state.devices.map((device) => {
    const card = make("div", "", "card device");
    const head = make("h3", device.label);
    head.prepend(make("span", device.state === "waiting" ? "waiting" : `${device.checks.length} of ${device.total}`, "count"));
    const bar = make("progress");
    bar.max = Math.max(1, device.total);
    bar.value = device.checks.length;
    bar.setAttribute("aria-label", device.label);
    const list = make("ul");
    const done = device.state === "done" || state.report;
    const rows = device.checks.filter((check) => !done || check.verdict !== "passed");
    list.append(...rows.map((check) => {
      const row = make("li", "", check.style);
      row.append(make("b", check.mark), make("span", plain(check.name)));
      if (check.found) row.append(make("div", check.found));
      if (check.to_do) row.append(make("div", `Do: ${check.to_do}`));
      return row;
    }));
    if (device.running) {
      const row = make("li", "", "running");
      row.append(make("b", "›"), make("span", plain(device.running)));
      list.append(row);
    }
    card.append(head, make("p", device.url, "url"), bar, list);
    return card;
  }));
  for (const list of document.querySelectorAll("#devices ul")) list.scrollTop = list.scrollHeight;
}

history.replaceState(null, "", "/"); // the token is a cookie now
for (const one of document.querySelectorAll("#answers button")) one.addEventListener("click", () => answer(one.dataset.answer));
for (const one of document.querySelectorAll(".take")) one.addEventListener("click", () => send("/seat", {}));
at("stop").addEventListener("click", () => { sure = true; show(); });
at("stop-no").addEventListener("click", () => { sure = false; show(); });
at("stop-yes").addEventListener("click", () => { sure = false; show(); send("/abort", {}); });
at("close").addEventListener("click", () => send("/close", {}));
addEventListener("offline", () => { lost = true; show(); });
follow();
