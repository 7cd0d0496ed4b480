// The attendant's page: cases, what to do with them, and the lane's health. Nothing is written with innerHTML: what
// comes from the service is text. The token and the PIN leave this page only in requests to the service.
"use strict";

const REFRESH_MS = 4000;
const PATIENCE_MS = 15000;
const CANCEL_MS = 65000; // it is answered when the payment has begun, or never will
const SKEW_S = 5; // of the lane's clock, from which on somebody must set it
const FINAL = ["paid", "paid_late", "unpaid", "unsettled"]; // phases that the lane no longer expects to change
const WORDS = {
  ru: {
    lane: "Касса", lane_title: "Касса {id}", leave: "Выйти", login: "Вход для сотрудника", token: "Код доступа",
    token_hint: "Его выдаёт администратор кассы.", remember: "Запомнить на этом устройстве", enter: "Войти",
    wrong_token: "Код доступа не подходит.", sections: "Разделы", open_cases: "Открытые", closed_cases: "Закрытые",
    open_title: "Открытые обращения", closed_title: "Закрытые обращения", no_open: "Открытых обращений нет.",
    no_closed: "Закрытых обращений нет.", back: "← К списку", case: "Обращение № {n}", order: "Чек № {n}",
    order_label: "Номер чека", amount: "Сумма", payment_id: "Платёж в PayMaster", none: "нет", status: "Состояние платежа",
    opened: "Открыто", closed: "Закрыто", closed_by: "Закрыл", decision: "Решение", happened: "Что произошло",
    todo: "Что делать", timeline: "Как это было", decide: "Закрыть обращение",
    decide_hint: "Запись останется в журнале навсегда. Сначала найдите платёж в личном кабинете PayMaster.",
    not_final: "Окончательного ответа PayMaster ещё нет. Если можно, подождите: обращение откроется снова, если деньги придут потом.",
    operator: "Ваше имя", reason: "Что решили", pin: "PIN-код (если он вам выдан)", close_case: "Закрыть обращение",
    recorded: "Обращение закрыто.", waiting: "Решение принято. Касса запишет его, когда закончится оплата.",
    pending: "Решение записывается: {name}", is_open: "Открыто", is_closed: "Закрыто",
    under_way: "Оплата сейчас", nothing_under_way: "Сейчас никто не платит.", print_again: "Напечатать код ещё раз",
    printed: "Напечатано.", printed_unknown: "Возможно, напечатано: принтер не подтвердил.",
    cancel_payment: "Отменить оплату", cancel_sure: "Точно отменить?", cancelled: "Отмена отправлена. Чем она кончилась, покажет состояние.",
    devices: "Устройства", enable_tag: "Метка проверена, включить", tag_enabled: "Метка будет включена, когда проверка пройдёт.",
    tag_disabled: "NFC-метка отключена", tag_needs: "NFC-метку нужно проверить на месте", state: "Состояние кассы",
    healthy: "Работает", unhealthy: "Нужно внимание", n_open: "Открытых обращений: {n}", version: "Версия",
    mode: "Где QR-код", contact: "Последний ответ PayMaster", clock: "Часы отличаются от PayMaster на", seconds: "{n} с",
    clock_behind: "Часы кассы отстают от часов PayMaster на {n} с. Установите точное время.",
    clock_ahead: "Часы кассы спешат относительно часов PayMaster на {n} с. Установите точное время.",
    beginning: "ещё не начат, касса готовится к нему",
    started: "Запущена", settings: "Настройки", journal: "Журнал", lost: "Нет связи с кассой. Показано состояние на {time}.",
    never: "ещё не было", no_answer: "Касса не ответила. Проверьте связь и повторите.", expires: "Оплатить до",
    phrases: ["Товар выдан", "Деньги вернули на кассе № ", "Оплаты не было, товар не выдан"],
    modes: ["на чеке", "на экране", "на наклейке или NFC-метке"],
    kinds: { printer: "Принтер", nfc: "NFC-метка", screen: "Экран", touch: "Сенсорная панель", display: "Дисплей покупателя" },
    states: { ok: "работает", fault: "неисправность", not_opened: "ещё не проверено" },
    phases: {
      creating: "создаётся в PayMaster", finding: "ищется в PayMaster", presenting: "ссылка показывается покупателю",
      waiting: "ждёт оплаты", asking: "нет связи, покупателя спросили", cancelling: "отменяется",
      confirming: "уточняется в PayMaster", watching: "окончательного ответа PayMaster ещё нет, касса ждёт его",
      closed: "PayMaster закрыл платёж, касса ещё следит за ним", overdue: "окончательного ответа PayMaster нет, касса спрашивает дальше",
      refundable: "деньги получены, но отмена кассы ещё может вернуть их",
      paid: "деньги получены", paid_late: "деньги пришли с опозданием", unpaid: "денег нет: PayMaster закрыл платёж",
      unsettled: "касса больше не ждёт, окончательного ответа PayMaster нет или он себе противоречит",
    },
    reasons: {
      cancel_refused: "PayMaster отказал в отмене", cancel_unanswered: "На отмену нет ответа",
      expired_unconfirmed: "Срок вышел, исход неизвестен", create_unknown: "Платёж мог быть создан",
      amount_mismatch: "Списана другая сумма", cancel_pay_race: "Отменён, но оплачен",
      late_money: "Деньги пришли поздно", paid_after_restart: "Оплачено, пока касса была выключена",
      paid_unshown: "Оплачено, но ссылку не показывали", refunded: "Деньги возвращены банком",
      goods_uncertain: "Оплачено, товар могли не отдать",
    },
  },
  en: {
    lane: "Checkout", lane_title: "Checkout {id}", leave: "Log out", login: "Staff login", token: "Access code",
    token_hint: "The lane's administrator gives it to you.", remember: "Remember on this device", enter: "Log in",
    wrong_token: "The access code is wrong.", sections: "Sections", open_cases: "Open", closed_cases: "Closed",
    open_title: "Open cases", closed_title: "Closed cases", no_open: "No open cases.",
    no_closed: "No closed cases.", back: "← Back to the list", case: "Case No. {n}", order: "Order No. {n}",
    order_label: "Order", amount: "Amount", payment_id: "Payment at PayMaster", none: "none", status: "The payment is",
    opened: "Opened", closed: "Closed", closed_by: "Closed by", decision: "Decision", happened: "What happened",
    todo: "What to do", timeline: "Step by step", decide: "Close the case",
    decide_hint: "The decision stays in the journal for good. Look the payment up in PayMaster's account first.",
    not_final: "PayMaster has not given its final status. Wait if you can: the case opens again if money comes later.",
    operator: "Your name", reason: "Decision", pin: "PIN (if you have one)", close_case: "Close the case",
    recorded: "The case is closed.", waiting: "The decision is stored. The lane records it after the payment.",
    pending: "Being recorded: {name}", is_open: "Open", is_closed: "Closed",
    under_way: "Payment now", nothing_under_way: "Nobody is paying now.", print_again: "Print the code again",
    printed: "Printed.", printed_unknown: "Perhaps printed: the printer did not confirm it.",
    cancel_payment: "Cancel the payment", cancel_sure: "Really cancel?", cancelled: "The cancellation is sent. The state shows what came of it.",
    devices: "Devices", enable_tag: "The tag is checked, use it", tag_enabled: "The tag is used when the next check finds it in order.",
    tag_disabled: "The NFC tag is out of use", tag_needs: "The NFC tag must be checked on the spot", state: "State of the lane",
    healthy: "Working", unhealthy: "Needs attention", n_open: "Open cases: {n}", version: "Version",
    mode: "The code is", contact: "PayMaster's last answer", clock: "Its clock is ahead by", seconds: "{n} s",
    clock_behind: "The lane's clock is {n} s behind PayMaster's. Set it.",
    clock_ahead: "The lane's clock is {n} s ahead of PayMaster's. Set it.",
    beginning: "waiting to begin",
    started: "Started", settings: "Settings", journal: "Journal", lost: "The lane cannot be reached. This is its state at {time}.",
    never: "not yet", no_answer: "The lane did not answer. Check the connection and try again.", expires: "To be paid before",
    phrases: ["Goods handed out", "Refunded at till No. ", "Not paid, no goods"],
    modes: ["on paper", "on the screen", "on the plate or NFC tag"],
    kinds: { printer: "Printer", nfc: "NFC tag", screen: "Screen", touch: "Touch panel", display: "Customer display" },
    states: { ok: "working", fault: "faulty", not_opened: "not checked yet" },
    phases: {
      creating: "being created", finding: "being looked for", presenting: "being shown to the customer",
      waiting: "waiting for the customer", asking: "without connection, the customer was asked", cancelling: "being cancelled",
      confirming: "being confirmed", watching: "without a final status, the lane waits for it",
      closed: "closed unpaid, still watched", overdue: "without a final status, the lane keeps asking",
      refundable: "paid, and the lane's cancellation may still refund it",
      paid: "paid", paid_late: "paid late", unpaid: "not paid", unsettled: "without a final status, or with two",
    },
    reasons: {
      cancel_refused: "The cancellation was refused", cancel_unanswered: "The cancellation was not answered",
      expired_unconfirmed: "Expired, outcome unknown", create_unknown: "A payment may exist",
      amount_mismatch: "Another amount was taken", cancel_pay_race: "Cancelled, but paid", late_money: "Money came late",
      paid_after_restart: "Paid while the lane was down", paid_unshown: "Paid, but never shown",
      refunded: "Refunded by the bank", goods_uncertain: "Paid, goods uncertain",
    },
  },
};

const $ = (id) => document.getElementById(id);
let language = "ru";
let token = "";
let lane = null;
let contact = null; // when the service answered last

const t = (key, values = {}) =>
  (WORDS[language][key] ?? key).replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);
const wordFor = (table, key) => WORDS[language][table][key] ?? key;

// --- the service ----------------------------------------------------------------------------------------------------

// A tag, a bank or a device may have written it: no mark turns the direction of the words that follow.
const escaped = (char) => `\\u${char.codePointAt(0).toString(16).padStart(4, "0")}`;
const plain = (text) => text.replace(/[^\P{C}\n]|[\u2028\u2029]/gu, escaped);

class Problem extends Error {
  constructor(data) {
    super(language === "en" ? data.detail : data.detail_ru);
    this.code = data.code;
  }
}
class Refused extends Error {}

async function call(path, body, patience = PATIENCE_MS) {
  const abort = new AbortController();
  const timer = setTimeout(() => abort.abort(), patience);
  try {
    const answer = await fetch(path, {
      method: body === undefined ? "GET" : "POST",
      headers: { Authorization: `Bearer ${token}`, ...(body === undefined ? {} : { "Content-Type": "application/json" }) },
      body: body === undefined ? undefined : JSON.stringify(body),
      cache: "no-store", credentials: "omit", redirect: "error", referrerPolicy: "no-referrer", signal: abort.signal,
    });
    const data = JSON.parse(await answer.text(), (key, value) => (typeof value === "string" ? plain(value) : value));
    contact = new Date();
    if (answer.ok) return data;
    if (answer.status === 401) throw new Refused(t("wrong_token"));
    throw new Problem(data);
  } finally {
    clearTimeout(timer);
  }
}

const reasonOf = (error) => (error instanceof Problem ? error.message : t("no_answer"));

// --- words and numbers ----------------------------------------------------------------------------------------------

function amountOf(kopecks) {
  const whole = String(Math.floor(kopecks / 100)).replace(/\B(?=(\d{3})+$)/g, "\u00a0");
  const rest = String(kopecks % 100).padStart(2, "0");
  return language === "en" ? `${whole}.${rest}\u00a0RUB` : `${whole},${rest}\u00a0₽`;
}

const timeOf = (ms, options) => new Intl.DateTimeFormat(language, options).format(new Date(ms));
const CLOCK = { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" };
const DAY = { day: "numeric", month: "short", year: "numeric" };
const momentOf = (ms) => timeOf(ms, { ...DAY, hour: "2-digit", minute: "2-digit", hourCycle: "h23" });

function element(name, options = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(options)) made[key] = value;
  made.append(...children);
  return made;
}

function facts(rows) {
  return element("dl", {}, ...rows.flatMap(([name, value]) => [element("dt", {}, name), element("dd", {}, value)]));
}

// --- what is on the page --------------------------------------------------------------------------------------------

function translate() {
  document.documentElement.lang = language;
  for (const one of document.querySelectorAll("[data-t]")) one.textContent = t(one.dataset.t);
  for (const one of document.querySelectorAll("[data-label]")) one.setAttribute("aria-label", t(one.dataset.label));
  $("phrases").replaceChildren(
    ...WORDS[language].phrases.map((phrase) =>
      element("button", { type: "button", onclick: () => { $("reason").value = phrase; $("reason").focus(); } }, phrase.trim()),
    ),
  );
}

function showHeader() {
  const title = lane ? t("lane_title", { id: lane.lane_id }) : t("lane");
  $("title").textContent = title;
  document.title = title;
  $("health").hidden = lane === null;
  if (lane === null) return;
  const broken = lane.devices.some((device) => device.state === "fault") || (lane.tag && lane.tag.needs_attendant);
  const faults = broken || clockIsWrong();
  const said = lane.open_cases ? t("n_open", { n: lane.open_cases }) : faults ? t("unhealthy") : t("healthy");
  say($("health"), said);
  $("health").className = lane.open_cases || faults ? "warn" : "good";
  $("open-count").textContent = lane.open_cases || "";
}

const clockIsWrong = () => lane.clock_ahead_s !== null && Math.abs(lane.clock_ahead_s) >= SKEW_S;

// What is read out is written only when it changes.
function say(place, text) {
  if (place.textContent !== text) place.textContent = text;
}

function goInside(yes) {
  $("login").hidden = yes;
  $("inside").hidden = !yes;
  $("leave").hidden = !yes;
  if (!yes) $("token").focus();
}

const route = () => location.hash.slice(1) || "open";

let routed = "";
async function show() {
  const name = route();
  const number = /^case-(\d+)$/.exec(name)?.[1];
  for (const link of document.querySelectorAll("nav a")) {
    if (link.hash === `#${name}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  if (number) await showCase(number);
  else if (name === "lane") await showLane();
  else await showList(name === "closed");
  if (name !== route()) return; // another one was chosen meanwhile
  $("list").hidden = Boolean(number) || name === "lane";
  $("case").hidden = !number;
  $("lane-page").hidden = name !== "lane";
  if (routed !== name) {
    const heading = document.querySelector("#inside > :not([hidden]) h2");
    if (routed && heading) heading.focus();
    if (routed) scrollTo(0, 0);
    routed = name;
  }
}

let listed = "";
async function showList(closed) {
  const { cases } = await call(`/v1/cases?open=${!closed}`);
  const wanted = closed ? cases.filter((one) => one.closed_at_ms !== null) : cases;
  const key = JSON.stringify([closed, language, wanted]);
  if (key === listed) return;
  listed = key;
  $("list-title").textContent = t(closed ? "closed_title" : "open_title");
  $("none").hidden = wanted.length > 0;
  $("none").textContent = t(closed ? "no_closed" : "no_open");
  $("cases").replaceChildren(...wanted.reverse().map((one) => element("li", {}, cardOf(one))));
}

function cardOf(one) {
  const open = one.closed_at_ms === null;
  return element(
    "a", { href: `#case-${one.number}`, className: open ? "card open" : "card" },
    element("b", {}, t("case", { n: one.number })),
    element("span", { className: "amount" }, amountOf(one.amount_kopecks)),
    element("span", { className: "wide" }, wordFor("reasons", one.reason)),
    element("span", { className: "wide hint" }, `${t("order", { n: one.order })}, ${momentOf(one.opened_at_ms)}`),
    ...(one.decided_by ? [element("span", { className: "wide good" }, t("pending", { name: one.decided_by }))] : []),
    ...(open ? [] : [element("span", { className: "wide hint" }, `${one.operator}: ${one.resolution}`)]),
  );
}

let opened = "";
async function showCase(number) {
  const one = await call(`/v1/cases/${number}`);
  const key = JSON.stringify([language, one]);
  if (key === opened) return;
  const another = $("case").dataset.number !== number;
  opened = key;
  $("case").dataset.number = number;
  $("case").dataset.phase = one.phase;
  $("case-title").textContent = `${t("case", { n: one.number })}: ${wordFor("reasons", one.reason)}`;
  const closed = one.closed_at_ms !== null;
  $("back").href = closed ? "#closed" : "#open";
  $("case-facts").replaceChildren(facts([
    [t("amount"), amountOf(one.amount_kopecks)],
    [t("order_label"), one.order],
    [t("payment_id"), one.payment_id ?? t("none")],
    [t("status"), wordFor("phases", one.phase)],
    [t("opened"), momentOf(one.opened_at_ms)],
    ...(closed ? [[t("closed"), momentOf(one.closed_at_ms)], [t("closed_by"), one.operator], [t("decision"), one.resolution]] : []),
  ]));
  $("happened").textContent = one.what_happened[language];
  $("todo").textContent = one.what_to_do[language];
  let day = "";
  $("timeline").replaceChildren(...one.timeline.map((step) => {
    const today = timeOf(step.at_ms, DAY);
    const news = today === day ? [] : [element("span", { className: "day" }, today)];
    day = today;
    const time = element("time", { dateTime: new Date(step.at_ms).toISOString() }, timeOf(step.at_ms, CLOCK));
    const [, said, done] = /^(.*?)(?: \[(.*)\])?$/s.exec(step.text[language]); // what came, and what the lane did then
    const words = element("div", { className: step.kind === "note" ? "hint" : "" }, said);
    if (done) words.append(element("p", { className: "hint" }, done));
    return element("li", {}, ...news, time, words);
  }));
  $("not-final").hidden = FINAL.includes(one.phase);
  $("resolve").hidden = closed || one.decided_by !== null;
  if (another) {
    for (const field of ["reason", "pin"]) $(field).value = "";
    $("operator").value = localStorage.getItem("operator") ?? "";
    $("resolve-problem").textContent = "";
  }
  $("done").hidden = !closed && one.decided_by === null;
  say($("done"), $("done").hidden ? "" : closed ? t("recorded") : t("waiting"));
}

let payment = null;
async function paymentNow() {
  if (lane.payment === null) return null;
  try {
    return await call(`/v1/payments/${encodeURIComponent(lane.payment)}`);
  } catch (error) {
    if (error.code === "not_begun_yet") return { id: lane.payment, outcome: null, presented: false };
    throw error;
  }
}

async function showLane() {
  payment = await paymentNow();
  const running = payment !== null && payment.outcome === null;
  $("payment").replaceChildren(
    payment === null
      ? element("p", {}, t("nothing_under_way"))
      : payment.phase === undefined
      ? facts([[t("status"), t("beginning")]])
      : facts([
        [t("order_label"), payment.order],
        [t("amount"), amountOf(payment.amount_kopecks)],
        [t("status"), wordFor("phases", payment.phase)],
        [t("expires"), timeOf(payment.expires_at_ms, CLOCK)],
      ]),
  );
  // A second ticket carries the same code. It makes sense only while that can be paid.
  const payable = running && payment.presented && ["waiting", "asking"].includes(payment.phase);
  $("print").hidden = !(payable && payment.mode === 0 && lane.now_ms < payment.expires_at_ms);
  $("cancel").hidden = !running || payment.phase === "cancelling";
  const tag = lane.tag;
  $("devices").replaceChildren(...lane.devices.map((device) => element(
    "li", {},
    element("b", {}, wordFor("kinds", device.kind)),
    element("span", { className: `mark ${{ ok: "good", fault: "bad" }[device.state] ?? "hint"}` }, wordFor("states", device.state)),
    element("span", { className: "hint wide" }, device.problem ? `${device.problem} (${device.url})` : device.url),
  )));
  if (tag && (tag.disabled || tag.needs_attendant)) {
    $("devices").append(element(
      "li", {}, element("b", { className: "warn wide" }, t(tag.needs_attendant ? "tag_needs" : "tag_disabled")),
      element("span", { className: "wide" }, tag.problem ?? ""),
    ));
  }
  $("enable-tag").hidden = !(tag && (tag.disabled || tag.needs_attendant));
  $("clock").hidden = !clockIsWrong();
  if (clockIsWrong()) {
    say($("clock"), t(lane.clock_ahead_s > 0 ? "clock_behind" : "clock_ahead", { n: Math.abs(Math.round(lane.clock_ahead_s)) }));
  }
  $("lane-facts").replaceChildren(facts([
    [t("mode"), WORDS[language].modes[lane.mode]],
    [t("contact"), lane.last_acquirer_contact_ms === null ? t("never") : momentOf(lane.last_acquirer_contact_ms)],
    ...(lane.clock_ahead_s === null || clockIsWrong() ? [] : [[t("clock"), t("seconds", { n: Math.round(lane.clock_ahead_s) })]]),
    [t("started"), momentOf(lane.started_at_ms)],
    [t("version"), lane.version],
    [t("settings"), lane.settings_hash.slice(0, 12)],
    [t("journal"), `${lane.journal.path}, ${lane.journal.last_seq}`],
  ]));
}

// --- going on -------------------------------------------------------------------------------------------------------

let turn = Promise.resolve();
function refresh() {
  turn = turn.then(refreshNow);
  return turn;
}

async function refreshNow() {
  if (token === "" || document.hidden) return;
  try {
    lane = await call("/v1/lane");
    language = lane.attendant_language;
    localStorage.setItem("language", language); // for the login, before the lane can be asked
    if (document.documentElement.lang !== language) translate();
    goInside(true);
    showHeader();
    await show();
    $("lost").hidden = true;
  } catch (error) {
    if (error instanceof Refused) return leave(error.message);
    say($("lost"), error instanceof Problem ? error.message : t("lost", { time: contact ? timeOf(contact, CLOCK) : "—" }));
    $("lost").hidden = false;
    console.warn(String(error));
  }
}

function leave(why) {
  token = "";
  localStorage.removeItem("token");
  sessionStorage.removeItem("token");
  lane = null;
  listed = opened = routed = "";
  for (const id of ["cases", "timeline", "case-facts", "payment"]) $(id).replaceChildren();
  $("lost").hidden = true;
  goInside(false);
  showHeader();
  $("login-problem").textContent = why;
}

// Sends once, with the button out of use until it is answered; what it says goes to `place`.
async function act(button, place, work) {
  button.disabled = true;
  place.textContent = "";
  try {
    place.textContent = await work();
  } catch (error) {
    if (error instanceof Refused) return leave(error.message);
    place.textContent = reasonOf(error);
  } finally {
    button.disabled = false;
  }
  await refresh();
}

$("login").addEventListener("submit", async (event) => {
  event.preventDefault();
  token = $("token").value.trim();
  $("login-problem").textContent = "";
  try {
    if (!/^[\x21-\x7e]+$/.test(token)) throw new Refused(t("wrong_token")); // no header can carry it
    await call("/v1/lane");
  } catch (error) {
    token = "";
    $("login-problem").textContent = error instanceof Refused ? error.message : reasonOf(error);
    return;
  }
  ($("remember").checked ? localStorage : sessionStorage).setItem("token", token);
  $("token").value = "";
  await refresh();
});

$("resolve").addEventListener("submit", (event) => {
  event.preventDefault();
  const { number, phase } = $("case").dataset, operator = $("operator").value.trim(), pin = $("pin").value;
  act($("resolve").querySelector("[type=submit]"), $("resolve-problem"), async () => {
    $("pin").value = "";
    opened = ""; // shown again, also when the payment has changed
    await call(`/v1/cases/${number}/resolve`, { operator, reason: $("reason").value.trim(), phase, ...(pin ? { pin } : {}) });
    localStorage.setItem("operator", operator);
    return "";
  });
});

$("print").addEventListener("click", () => act($("print"), $("payment-said"), async () => {
  const done = await call(`/v1/payments/${encodeURIComponent(payment.id)}/print_again`, {});
  return t(done.outcome === "printed" ? "printed" : "printed_unknown");
}));

$("cancel").addEventListener("click", () => {
  const button = $("cancel");
  if (!button.classList.contains("sure")) { // once more within five seconds
    button.classList.add("sure");
    button.textContent = t("cancel_sure");
    setTimeout(() => { button.classList.remove("sure"); button.textContent = t("cancel_payment"); }, 5000);
    return;
  }
  act(button, $("payment-said"), async () => {
    await call(`/v1/payments/${encodeURIComponent(payment.id)}/cancel`, {}, CANCEL_MS);
    return t("cancelled");
  });
});

$("enable-tag").addEventListener("click", () => act($("enable-tag"), $("tag-said"), async () => {
  await call("/v1/tag/enable", {});
  return t("tag_enabled");
}));

$("leave").addEventListener("click", () => leave(""));
addEventListener("hashchange", refresh);
document.addEventListener("visibilitychange", refresh);
setInterval(refresh, REFRESH_MS);

function begin() {
  const given = /^#token=([\x21-\x7e]+)$/.exec(location.hash)?.[1]; // a link or a QR code that the administrator has made
  if (given) {
    history.replaceState(null, "", location.pathname + location.search);
    sessionStorage.setItem("token", given);
  }
  token = sessionStorage.getItem("token") ?? localStorage.getItem("token") ?? "";
  language = localStorage.getItem("language") === "en" ? "en" : "ru";
  translate();
  showHeader();
  if (token === "") goInside(false);
  else refresh();
}
begin();
