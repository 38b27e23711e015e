// What pages of a sign-in do beyond plain HTML. All words come from the server, and without this script nothing is
// missing but comfort: each button here is hidden until it can work.
(() => {
  "use strict";

  // Shows what is typed into a password field. It is sent as a password again, so that the browser keeps it as one.
  for (const button of document.querySelectorAll("button[data-show]")) {
    const field = document.getElementById(button.dataset.show);
    const show = (shown) => {
      field.type = shown ? "text" : "password";
      button.setAttribute("aria-pressed", String(shown));
    };
    button.hidden = false;
    button.addEventListener("click", () => { show(field.type === "password"); field.focus(); });
    field.form.addEventListener("submit", () => show(false));
  }

  // Says that Caps Lock is on, where the browser can tell.
  for (const hint of document.querySelectorAll("[data-caps]")) {
    const look = (event) => {
      if (event.getModifierState) hint.hidden = !event.getModifierState("CapsLock");
    };
    for (const kind of ["keydown", "keyup", "mousedown"]) document.getElementById(hint.dataset.caps).addEventListener(kind, look);
  }

  // Recovery codes: copied, saved as a file, printed.
  const list = document.querySelector("[data-codes]");
  if (!list) return;
  const text = () => [...list.querySelectorAll("code")].map((c) => c.textContent).join("\n") + "\n";
  const acts = {
    copy: async (button) => {
      await navigator.clipboard.writeText(text());
      document.getElementById("copied").textContent = button.dataset.done;
    },
    download: () => {
      const link = document.createElement("a");
      link.href = URL.createObjectURL(new Blob([list.dataset.codes + "\n\n" + text()], { type: "text/plain" }));
      link.download = "recovery-codes.txt";
      link.click();
      URL.revokeObjectURL(link.href);
    },
    print: () => window.print(),
  };
  for (const button of document.querySelectorAll("button[data-act]")) {
    if (button.dataset.act === "copy" && !navigator.clipboard) continue;
    button.hidden = false;
    button.addEventListener("click", () => acts[button.dataset.act](button));
  }
})();
