// Follows a stream that is still written, below what the page shows of it; texts only, never markup.
"use strict";

(() => {
  const box = document.querySelector("[data-tail]");
  const state = document.querySelector(".sn-tail-state");
  if (!box || !state || !window.EventSource) return;

  // More than this makes pages slow; the beginning can be read by loading the page again.
  const MOST = 400000;
  const source = new EventSource(box.dataset.tail);

  const isAtEnd = () => window.innerHeight + window.scrollY >= document.body.scrollHeight - 40;

  const stop = (words) => {
    source.close();
    state.textContent = words;
  };

  source.addEventListener("open", () => {
    state.textContent = "Following; what is printed appears here.";
  });
  source.addEventListener("message", (event) => {
    const wasAtEnd = isAtEnd();
    const text = box.textContent + JSON.parse(event.data).log;
    box.textContent = text.length > MOST ? "…" + text.slice(-MOST) : text;
    box.hidden = false;
    if (wasAtEnd) window.scrollTo(0, document.body.scrollHeight);
  });
  source.addEventListener("end", () => stop("That is all."));
  source.addEventListener("refused", (event) => stop(JSON.parse(event.data).msg));
  source.addEventListener("error", () => {
    state.textContent =
      source.readyState === EventSource.CLOSED
        ? "Not followed: others follow already, or you are logged out. Load the page again."
        : "The connection is lost; trying again.";
  });
})();
