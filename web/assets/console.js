// The console works without this. It writes times in the reader's own zone, and in one form for all: 24 hours, the day
// before the month, in the console's language. It keeps a form from being sent twice and from being lost, copies, shows questions as dialogues, finds, and follows what changes.
(() => {
  "use strict";

  const lang = document.documentElement.lang;
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  const format = (options) => new Intl.DateTimeFormat(lang === "en" ? "en-GB" : lang, { hourCycle: "h23", ...options });
  const exact = format({ weekday: "short", year: "numeric", month: "short", day: "numeric", hour: "numeric", minute: "2-digit", second: "2-digit", timeZoneName: "short" });
  const forms = {
    clock: format({ hour: "2-digit", minute: "2-digit" }),
    day: format({ month: "short", day: "numeric" }),
    minute: format({ month: "short", day: "numeric", hour: "2-digit", minute: "2-digit", timeZoneName: "short" }),
    date: format({ year: "numeric", month: "short", day: "numeric" }),
  };
  const ago = new Intl.RelativeTimeFormat(lang, { numeric: "always" });
  const numbers = new Intl.NumberFormat(lang);

  // In the same steps as the server says it; what it wrote stays for what is just now.
  const relative = (at, now) => {
    const s = (at - now) / 1000, d = Math.abs(s);
    if (d < 45) return null;
    if (d < 3570) return ago.format(Math.sign(s) * Math.max(Math.round(d / 60), 1), "minute");
    if (d < 84600) return ago.format(Math.sign(s) * Math.round(d / 3600), "hour");
    if (d < (s < 0 ? 7 : 90) * 86400) return ago.format(Math.sign(s) * Math.max(Math.round(d / 86400), 1), "day");
    return forms.date.format(at);
  };
  const localize = (root) => {
    const now = Date.now();
    for (const e of root.querySelectorAll("time[datetime]")) {
      const at = new Date(e.dateTime);
      if (isNaN(at)) continue;
      if (e.dataset.form) { e.textContent = forms[e.dataset.form].format(at); continue; }
      if ("exact" in e.dataset) { e.textContent = exact.format(at); continue; }
      if (!("lasting" in e.dataset)) e.textContent = relative(at, now) ?? e.textContent;
      e.title = exact.format(at);
    }
    for (const e of root.querySelectorAll("title[data-at]")) {
      e.textContent = forms[e.dataset.form].format(new Date(e.dataset.at)) + e.dataset.said;
    }
    for (const e of root.querySelectorAll("data[value]")) {
      const n = Number(e.value);
      if (e.value !== "" && !isNaN(n)) e.textContent = numbers.format(n);
    }
    for (const b of root.querySelectorAll("button[data-copy]")) b.hidden = !navigator.clipboard;
  };
  setInterval(() => localize(document), 30000);

  document.addEventListener("click", async (event) => {
    const b = event.target.closest("button[data-copy]");
    if (!b) return;
    const label = b.textContent;
    await navigator.clipboard.writeText(b.dataset.copy);
    b.textContent = document.body.dataset.copied;
    setTimeout(() => { b.textContent = label; }, 2000);
  });

  // A form that was changed and not sent: the browser asks before the page is left.
  const typed = (form) => form.method === "post" && [...form.elements].some((e) =>
    e.type === "checkbox" || e.type === "radio" ? e.checked !== e.defaultChecked
      : e.tagName === "SELECT" ? [...e.options].some((o, i) => o.selected !== (o.defaultSelected || i === 0 && ![...e.options].some((d) => d.defaultSelected)))
        : "defaultValue" in e && e.type !== "hidden" && e.type !== "file" && e.value !== e.defaultValue);
  let leaving = false;
  window.addEventListener("beforeunload", (event) => {
    if (!leaving && [...document.forms].some(typed)) event.preventDefault();
  });

  // A second click while the first is under way sends nothing. A page that comes
  // back by the back button can be sent again: the server knows what it has taken.
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (form.method !== "post") return;
    if (form.dataset.sent) { event.preventDefault(); return; }
    form.dataset.sent = "1";
    leaving = true;
  });
  window.addEventListener("pageshow", () => {
    leaving = false;
    for (const f of document.forms) delete f.dataset.sent;
  });

  // A chosen file is read into the field beside it, and sent as if it had been pasted.
  for (const input of document.querySelectorAll("input[type=file][data-into]")) {
    input.parentElement.hidden = false;
    input.addEventListener("change", async () => {
      if (input.files.length) document.getElementById(input.dataset.into).value = await input.files[0].text();
    });
  }

  // The part of a page that has no frame: our own server's, escaped there.
  const part = async (url, signal) => {
    const answer = await fetch(url, { headers: { "HX-Request": "true" }, signal });
    if (!answer.ok || answer.redirected) return null;
    return answer.text();
  };
  const dialogue = (label, kind) => {
    const d = document.createElement("dialog");
    d.setAttribute("aria-label", label);
    if (kind) d.className = kind;
    d.addEventListener("close", () => d.remove());
    d.addEventListener("click", (event) => { if (event.target === d || event.target.closest("[data-close]")) { event.preventDefault(); d.close(); } });
    document.body.append(d);
    return d;
  };

  // A question that is a page of its own without this.
  document.addEventListener("click", async (event) => {
    const a = event.target.closest("a[data-dialog]");
    if (!a || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    const text = await part(a.href).catch(() => null);
    if (text === null) { location = a.href; return; }
    const d = dialogue(a.dataset.dialog);
    d.innerHTML = text;
    localize(d);
    d.showModal();
  });

  // A row is dragged onto another one to take its place, by the form that its buttons send.
  for (const grip of document.querySelectorAll("[data-grip]")) {
    const row = grip.closest("[data-place]");
    grip.hidden = !row;
    let under = null;
    const over = (to) => { under?.classList.remove("under"); under = to; under?.classList.add("under"); };
    const end = () => { over(null); row.classList.remove("dragged"); };
    grip.addEventListener("pointerdown", (event) => {
      if (event.button) return;
      event.preventDefault();
      grip.setPointerCapture(event.pointerId);
      row.classList.add("dragged");
    });
    grip.addEventListener("pointermove", (event) => {
      if (!grip.hasPointerCapture(event.pointerId)) return;
      const to = document.elementFromPoint(event.clientX, event.clientY)?.closest("[data-place]");
      over(to && to !== row ? to : null);
    });
    grip.addEventListener("pointerup", () => {
      const to = under;
      end();
      if (!to) return;
      const form = grip.closest("form"), other = document.createElement("input");
      Object.assign(other, { type: "hidden", name: "other", value: to.dataset.place });
      form.append(other);
      form.requestSubmit();
    });
    grip.addEventListener("pointercancel", end);
  }

  // Ctrl-K: the search page as a layer, that answers as somebody types.
  const palette = (find) => {
    const old = document.querySelector("dialog.palette");
    if (old) { old.querySelector("input").focus(); return; }
    const box = document.querySelector("input[data-palette]");
    const d = dialogue(box.getAttribute("aria-label"), "palette");
    const form = box.form.cloneNode(true), found = document.createElement("div");
    found.className = "found results";
    found.setAttribute("aria-live", "polite");
    d.append(form, found);
    const input = form.querySelector("input");
    input.value = find;
    let wait, asked;
    const ask = () => {
      asked?.abort();
      asked = new AbortController();
      part(form.action + "?" + new URLSearchParams({ q: input.value }), asked.signal).then((text) => {
        const page = new DOMParser().parseFromString(text ?? "", "text/html");
        found.replaceChildren(...(page.getElementById("found")?.childNodes ?? []));
      }).catch(() => {});
    };
    input.addEventListener("input", () => { clearTimeout(wait); wait = setTimeout(ask, 250); });
    d.addEventListener("keydown", (event) => {
      const all = [input, ...found.querySelectorAll("a")], at = all.indexOf(document.activeElement);
      if (event.key === "ArrowDown") all[Math.min(at + 1, all.length - 1)].focus();
      else if (event.key === "ArrowUp") all[Math.max(at - 1, 0)].focus();
      else return;
      event.preventDefault();
    });
    // Enter opens the first of what is found, and the search page where nothing is.
    form.addEventListener("submit", (event) => {
      const first = found.querySelector("a");
      if (!first) return;
      event.preventDefault();
      location = first.href;
    });
    d.showModal();
    if (find) ask();
  };
  document.addEventListener("keydown", (event) => {
    if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "k") { event.preventDefault(); palette(""); }
  });

  const follow = (root) => {
    for (const e of root.querySelectorAll("[data-live]")) {
      const source = new EventSource(e.dataset.live);
      const hold = "hold" in e.dataset; // it waits while somebody reads it, and is not lost
      let waiting = null;
      const busy = () => e.contains(document.activeElement) && document.activeElement !== document.body || hold && e.matches(":hover");
      const show = (message) => {
        waiting = null;
        const open = [...e.querySelectorAll("details")].map((d) => d.open);
        e.innerHTML = message.data; // our own server's, escaped there
        e.querySelectorAll("details").forEach((d, i) => { d.open = open[i] ?? false; });
        localize(e);
      };
      source.onmessage = (message) => {
        if (!e.isConnected) source.close();
        else if (!busy()) show(message); // not under somebody's fingers
        else if (hold) waiting = message;
      };
      if (!hold) continue;
      const release = () => setTimeout(() => { if (waiting && !busy()) show(waiting); }, 0);
      e.addEventListener("pointerleave", release);
      e.addEventListener("focusout", release);
    }
    for (const e of root.querySelectorAll("[data-live-note]")) e.hidden = false;
  };

  // What was typed before htmx was there is searched for all the same.
  window.addEventListener("load", () => {
    for (const i of document.querySelectorAll("input[hx-get]")) {
      if (i.value !== i.defaultValue) i.dispatchEvent(new Event("input", { bubbles: true }));
    }
  });

  const begin = (root) => {
    localize(root);
    follow(root);
    for (const e of root.querySelectorAll("[data-here]")) e.textContent = document.body.dataset.zone + " " + zone;
    for (const e of root.querySelectorAll(".find kbd")) e.hidden = false;
  };
  document.addEventListener("htmx:after:swap", () => localize(document));
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", () => begin(document));
  else begin(document);
})();
