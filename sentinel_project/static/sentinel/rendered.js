// What the content would be with its placeholders filled in, below its field; never markup.
"use strict";

(() => {
  const FIELDS = ["content", "content_type", "job_type", "extra", "time_zone", "app", "worker_group"];
  const WAIT = 400;
  let timer = null;
  let turn = 0;

  const field = (name) => document.querySelector(`form [name="${name}"]`);

  const boxOf = (content) => {
    let box = content.parentElement.querySelector(".sn-preview");
    if (!box) {
      box = document.createElement("div");
      box.className = "sn-preview";
      box.setAttribute("aria-live", "polite");
      content.parentElement.append(box);
    }
    return box;
  };

  const show = (box, answer, typed) => {
    box.replaceChildren();
    if (answer.valid && answer.content === typed) return;
    const shown = document.createElement(answer.valid ? "pre" : "p");
    shown.className = answer.valid ? "sn-pre" : "sn-wrong";
    shown.textContent = answer.valid ? answer.content : answer.msg;
    if (answer.valid) {
      const said = document.createElement("p");
      said.className = "sn-sentence";
      said.textContent = "A run due now would run:";
      box.append(said);
    }
    box.append(shown);
  };

  const ask = async () => {
    const content = field("content");
    const own = ++turn;
    const body = new FormData();
    for (const name of FIELDS) {
      const input = field(name);
      if (input) body.append(name, input.value);
    }
    body.append("id", document.getElementById("sn-preview-url").dataset.job || "0");
    body.append("csrfmiddlewaretoken", field("csrfmiddlewaretoken").value);
    const url = document.getElementById("sn-preview-url").dataset.rendered;
    try {
      const reply = await fetch(url, { method: "POST", body, credentials: "same-origin" });
      const answer = await reply.json();
      if (own === turn) show(boxOf(content), answer, content.value);
    } catch {
      if (own === turn) boxOf(content).replaceChildren();
    }
  };

  document.addEventListener("DOMContentLoaded", () => {
    if (!field("content") || !document.getElementById("sn-preview-url")) return;
    const later = (event) => {
      if (!FIELDS.includes(event.target.name)) return;
      clearTimeout(timer);
      timer = setTimeout(ask, WAIT);
    };
    document.addEventListener("input", later);
    document.addEventListener("change", later);
    ask();
  });
})();
