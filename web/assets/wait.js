// The waiting page asks how things stand and goes on by itself. All words come
// from the server.
(function () {
  "use strict";
  var box = document.getElementById("progress");
  var message = document.getElementById("message");
  var detail = document.getElementById("detail");
  var clock = document.getElementById("left");
  var failed = 0;
  var end = 0;

  function later(ms) {
    // A fifth more or less, so that many pages don't ask in one beat.
    setTimeout(ask, ms * (0.8 + Math.random() * 0.4));
  }

  // Only what changed is written: a screen reader reads out each writing.
  function say(element, text) {
    if (element.textContent !== text) {
      element.textContent = text;
    }
  }

  // The countdown is told from the server's clock; it only moves in between.
  function count(seconds) {
    end = Date.now() + 1000 * seconds;
    show();
  }

  function show() {
    var left = Math.max(0, Math.ceil((end - Date.now()) / 1000));
    var rest = left % 60;
    clock.textContent = Math.floor(left / 60) + ":" + (rest < 10 ? "0" : "") + rest;
  }

  function goOn() {
    location.replace(box.dataset.next);
  }

  function ask() {
    var limit = new AbortController();
    var timer = setTimeout(function () { limit.abort(); }, 15000);
    fetch(box.dataset.ask, { cache: "no-store", redirect: "error", signal: limit.signal })
      .then(function (answer) {
        if (answer.status >= 400 && answer.status < 500 && answer.status !== 429) {
          return { ready: true }; // this sign-in has something else to show now
        }
        if (!answer.ok) {
          throw new Error("status " + answer.status);
        }
        return answer.json();
      })
      .then(function (state) {
        clearTimeout(timer);
        failed = 0;
        if (state.message) {
          say(message, state.message);
          say(detail, state.detail || "");
        }
        if (clock && state.left) {
          count(state.left);
        }
        if (state.ready) {
          goOn();
          return;
        }
        later(state.poll || 3000);
      })
      .catch(function () {
        clearTimeout(timer);
        failed += 1;
        later(Math.min(1000 * Math.pow(2, failed), 30000));
      });
  }

  // This page may be the answer to a form, whose address has no page of its own: from here on a reload, a restored tab
  // and Enter in the address bar come to the page of this sign-in.
  if (location.pathname + location.search !== box.dataset.next) {
    history.replaceState(null, "", box.dataset.next);
  }

  // A page that comes back from the browser's memory is out of date.
  addEventListener("pageshow", function (event) {
    if (event.persisted) {
      goOn();
    }
  });
  if (clock) {
    count(Number(clock.dataset.left) || 0);
    setInterval(show, 1000);
  }
  later(Number(box.dataset.poll) || 1000);
})();
