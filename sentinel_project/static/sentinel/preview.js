// The next runs of an expression while it is typed, below its field; texts only, never markup.
"use strict";

(() => {
  const FIELD = /^(expressions-\d+)-(kind|text)$/;
  const WAIT = 250;
  const timers = new Map();
  const asked = new Map();

  const element = (tag, text, name) => {
    const made = document.createElement(tag);
    made.textContent = text;
    if (name) made.className = name;
    return made;
  };

  const field = (name) => document.querySelector(`[name="${name}"]`);

  const boxOf = (input) => {
    let box = input.parentElement.querySelector(".sn-preview");
    if (!box) {
      box = element("div", "", "sn-preview");
      box.setAttribute("aria-live", "polite");
      input.parentElement.append(box);
    }
    return box;
  };

  const show = (box, answer) => {
    box.replaceChildren();
    if (!answer.valid) {
      // The form that came back with errors says it at the field already.
      const said = box.closest("td")?.innerText.includes(answer.msg);
      if (!said) box.append(element("p", answer.msg, "sn-wrong"));
      return;
    }
    box.append(element("p", answer.sentence, "sn-sentence"));
    const list = element("ol", "");
    for (const time of answer.times) {
      const item = element("li", `${time.local} `);
      item.append(element("span", `${time.utc} UTC`, "sn-faint"));
      if (time.note) item.append(element("span", ` ${time.note}`, "sn-note"));
      list.append(item);
    }
    box.append(list);
    if (!answer.times.length) box.append(element("p", "It never runs again.", "sn-wrong"));
  };

  const ask = async (prefix) => {
    const text = field(`${prefix}-text`);
    if (!text) return;
    const box = boxOf(text);
    if (!text.value.trim()) {
      box.replaceChildren();
      return;
    }
    const zone = field("time_zone");
    const query = new URLSearchParams({
      kind: field(`${prefix}-kind`)?.value ?? "",
      text: text.value.trim(),
      zone: zone ? zone.value : "",
      id: field(`${prefix}-id`)?.value ?? "",
    });
    const turn = (asked.get(prefix) ?? 0) + 1;
    asked.set(prefix, turn);
    const url = document.getElementById("sn-preview-url").dataset.url;
    let answer;
    try {
      const reply = await fetch(`${url}?${query}`, { credentials: "same-origin" });
      answer = await reply.json();
    } catch {
      answer = { valid: false, msg: "no preview: the server does not answer" };
    }
    // A slow answer to an earlier text must not replace a later one.
    if (asked.get(prefix) === turn) show(box, answer);
  };

  const soon = (prefix) => {
    clearTimeout(timers.get(prefix));
    timers.set(prefix, setTimeout(() => ask(prefix), WAIT));
  };

  const all = () => {
    for (const input of document.querySelectorAll('[name^="expressions-"][name$="-text"]')) {
      const found = FIELD.exec(input.name);
      if (found) soon(found[1]);
    }
  };

  const changed = (event) => {
    const found = FIELD.exec(event.target.name ?? "");
    if (found) soon(found[1]);
    else if (event.target.name === "time_zone") all();
  };

  document.addEventListener("input", changed);
  document.addEventListener("change", changed);
  document.addEventListener("DOMContentLoaded", all);
})();
