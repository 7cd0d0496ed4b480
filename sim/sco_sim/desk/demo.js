// The page of `sco-pay demo --web`: the lane's screen, paper and tag, and the customer's phone, with a mouse.
"use strict";

const WORDS = {
  ru: {
    title: "Касса самообслуживания с оплатой по СБП", lane: "Экран кассы", mode: "QR-код", mode0: "на чеке",
    how: "Нажмите «Начать оплату», отсканируйте код телефоном и оплатите. Касса настоящая; банк, телефон, принтер и метка — симуляторы.",
    mode1: "на экране", mode2: "на NFC-метке", amount: "Сумма чека, ₽", pay: "Начать оплату", paper: "Чековая лента",
    no_paper: "Пока ничего не напечатано.", tag: "NFC-метка на кассе", empty: "Метка пуста.", phone: "Телефон покупателя",
    scan_screen: "Сканировать экран", scan_paper: "Сканировать чек", tap_tag: "Поднести к метке", faults: "Неполадки:",
    network: "нет сети на кассе", paper_out: "кончилась бумага", service: "служба кассы остановлена",
    attendant: "Страница сотрудника →", pin: "Иванова, PIN {pin}", no_code: "Там нет кода.", lost: "Демонстрация остановлена.",
    running: "Чек {n}: идёт оплата", paid: "Чек {n}: оплачен, товар можно отдать", unpaid: "Чек {n}: не оплачен, выберите способ оплаты",
    unknown: "Чек {n}: исход неизвестен, обращение № {case}", not_presented: "Чек {n}: код не показан, не оплачен",
  },
  en: {
    title: "A self-checkout lane that takes payments by SBP", lane: "The lane's screen", mode: "The QR code is", mode0: "on paper",
    how: "Start a payment, scan the code with the phone, pay. The lane is the one that ships; bank, phone, printer and tag are simulators.",
    mode1: "on the screen", mode2: "on the NFC tag", amount: "The order's total, RUB", pay: "Start the payment", paper: "Receipt tape",
    no_paper: "Nothing was printed yet.", tag: "The lane's NFC tag", empty: "The tag is empty.", phone: "The customer's phone",
    scan_screen: "Scan the screen", scan_paper: "Scan the paper", tap_tag: "Tap the tag", faults: "Faults:",
    network: "the lane is offline", paper_out: "no paper", service: "the lane's service is stopped",
    attendant: "The attendant's page →", pin: "Иванова, PIN {pin}", no_code: "No code.", lost: "The demo has stopped.",
    running: "Order {n}: being paid", paid: "Order {n}: paid, hand out the goods", unpaid: "Order {n}: not paid, choose how to pay",
    unknown: "Order {n}: outcome unknown, case No. {case}", not_presented: "Order {n}: the code could not be shown, not paid",
  },
};

const $ = (id) => document.getElementById(id);
const language = new URLSearchParams(location.search).get("lang") ?? (navigator.language.startsWith("ru") ? "ru" : "en");
const words = WORDS[language] ?? WORDS.ru;
const t = (key, values = {}) => words[key].replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "");

async function post(path, body) {
  const answer = await fetch(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
  const data = await answer.json();
  if (!answer.ok) throw new Error(data.error);
  return data;
}

let changing = 0; // what the visitor has just chosen is not overwritten by an older state
let notice = "";
async function doing(control, place, work) {
  control.disabled = true;
  changing += 1;
  place.textContent = notice = "";
  try {
    await work();
  } catch (error) {
    place.textContent = notice = error.message;
  } finally {
    changing -= 1;
    control.disabled = false;
  }
}

let printed = 0;
function show(state) {
  if (changing === 0) {
    document.querySelector(`[name=mode][value="${state.mode}"]`).checked = true;
    for (const box of document.querySelectorAll("[data-fault]")) box.checked = state.faults[box.dataset.fault];
  }
  $("modes").disabled = $("pay").disabled = state.busy || changing > 0;
  $("attendant").href = state.attendant;
  $("pin").textContent = t("pin", state);
  for (const button of document.querySelectorAll("[data-mode]")) {
    button.className = Number(button.dataset.mode) === state.mode ? "primary" : "";
  }
  $("tag").textContent = state.tag || t("empty");
  if (state.payment && !notice) {
    const { outcome, order, case: number } = state.payment;
    const said = t(outcome ?? "running", { n: order, case: number });
    if ($("till-said").textContent !== said) $("till-said").textContent = said;
  }
  $("paper").hidden = state.printed === 0;
  $("no-paper").hidden = state.printed > 0;
  if (state.printed !== printed) {
    printed = state.printed;
    $("paper").src = `/desk/paper.png?v=${printed}`;
  }
}

async function follow() {
  for (;;) {
    try {
      show(await (await fetch("/desk/state", { cache: "no-store" })).json());
    } catch (error) {
      $("till-said").textContent = t("lost");
    }
    await new Promise((resolve) => setTimeout(resolve, 400));
  }
}

// The phone is the simulator's own page. What its camera gets is a picture, of its NFC the link.
function scanning(button, find) {
  $(button).addEventListener("click", () => doing($(button), $("phone-said"), async () => {
    const found = await find();
    if (!found) throw new Error(t("no_code"));
    const phone = $("phone").contentWindow; // a picture must be one of its own kind
    await phone.act("scan", typeof found === "string" ? { link: found } : new phone.Blob([found]));
  }));
}

async function pictureOf(url) {
  const answer = await fetch(url, { cache: "no-store" });
  return answer.ok ? answer.blob() : null;
}

scanning("scan-screen", () => pictureOf("/v1/screen/qr.png"));
scanning("scan-paper", () => pictureOf("/desk/ticket.png"));
scanning("tap-tag", async () => (await (await fetch("/desk/state")).json()).tag);

$("till").addEventListener("submit", (event) => {
  event.preventDefault();
  const kopecks = Math.round(Number($("amount").value.replace(",", ".")) * 100);
  doing($("pay"), $("till-said"), () => post("/desk/pay", { kopecks }));
});
for (const radio of document.querySelectorAll("[name=mode]")) {
  radio.addEventListener("change", () => doing(radio, $("till-said"), () => post("/desk/mode", { mode: Number(radio.value) })));
}
for (const box of document.querySelectorAll("[data-fault]")) {
  box.addEventListener("change", () => doing(box, $("till-said"), () => post("/desk/fault", { name: box.dataset.fault, on: box.checked })));
}
for (const one of document.querySelectorAll("[data-t]")) one.textContent = t(one.dataset.t);
for (const one of document.querySelectorAll("[data-title]")) one.title = t(one.dataset.title);
document.documentElement.lang = language;
// The buttons above take the place of its camera.
const hideCamera = () => $("phone").contentDocument?.getElementById("scan")?.toggleAttribute("hidden", true);
$("phone").addEventListener("load", hideCamera);
hideCamera();
follow();
