// The console works without this. It writes times and numbers as the reader's own
// place does, keeps a form from being sent twice, copies, and follows what changes.
(() => {
  "use strict";

  const dates = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
  const exact = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "long" });
  const numbers = new Intl.NumberFormat();

  const localize = (root) => {
    for (const e of root.querySelectorAll("time[datetime]")) {
      const at = new Date(e.dateTime);
      if (isNaN(at)) continue;
      e.textContent = dates.format(at);
      e.title = exact.format(at);
    }
    for (const e of root.querySelectorAll("data[value]")) {
      const n = Number(e.value);
      if (e.value !== "" && !isNaN(n)) e.textContent = numbers.format(n);
    }
    for (const b of root.querySelectorAll("button[data-copy]")) b.hidden = !navigator.clipboard;
  };

  document.addEventListener("click", async (event) => {
    const b = event.target.closest("button[data-copy]");
    if (!b) return;
    const label = b.textContent;
    await navigator.clipboard.writeText(b.dataset.copy);
    b.textContent = document.body.dataset.copied;
    setTimeout(() => { b.textContent = label; }, 2000);
  });

  // A second click while the first is under way sends nothing. A page that comes
  // back by the back button can be sent again: the server knows what it has taken.
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (form.method !== "post") return;
    if (form.dataset.sent) { event.preventDefault(); return; }
    form.dataset.sent = "1";
  });
  window.addEventListener("pageshow", () => {
    for (const f of document.forms) delete f.dataset.sent;
  });

  // A chosen file is read into the field beside it, and sent as if it had been pasted.
  for (const input of document.querySelectorAll("input[type=file][data-into]")) {
    input.parentElement.hidden = false;
    input.addEventListener("change", async () => {
      if (input.files.length) document.getElementById(input.dataset.into).value = await input.files[0].text();
    });
  }

  const follow = (root) => {
    for (const e of root.querySelectorAll("[data-live]")) {
      const source = new EventSource(e.dataset.live);
      source.onmessage = (message) => {
        if (!e.isConnected) { source.close(); return; }
        if (e.contains(document.activeElement) && document.activeElement !== document.body) return; // not under somebody's fingers
        e.innerHTML = message.data; // our own server's, escaped there
        localize(e);
      };
    }
  };

  // What was typed before htmx was there is searched for all the same.
  window.addEventListener("load", () => {
    for (const i of document.querySelectorAll("input[hx-get]")) {
      if (i.value !== i.defaultValue) i.dispatchEvent(new Event("input", { bubbles: true }));
    }
  });

  const begin = (root) => { localize(root); follow(root); };
  document.addEventListener("htmx:after:swap", () => localize(document));
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", () => begin(document));
  else begin(document);
})();
