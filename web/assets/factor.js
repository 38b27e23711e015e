// Passkeys: the browser makes or uses one, and its answer goes back in the form. All
// words come from the server. Without script, or without passkeys, the page works by
// codes alone.
(function () {
  "use strict";
  var form = document.querySelector("form[data-passkey]");
  if (!form || !window.PublicKeyCredential || !navigator.credentials) {
    return;
  }
  var creating = form.dataset.passkey === "create";
  var part = creating ? form.querySelector("[data-part=passkey]") : form;
  var notice = part.querySelector("[role=alert]");
  part.hidden = false;

  function bytes(text) {
    var raw = atob(text.replace(/-/g, "+").replace(/_/g, "/"));
    return Uint8Array.from(raw, function (c) { return c.charCodeAt(0); });
  }

  function text(buffer) {
    var raw = "";
    new Uint8Array(buffer).forEach(function (b) { raw += String.fromCharCode(b); });
    return btoa(raw).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
  }

  function options() {
    var o = JSON.parse(form.dataset.options);
    o.challenge = bytes(o.challenge);
    if (o.user) {
      o.user.id = bytes(o.user.id);
    }
    (o.allowCredentials || []).concat(o.excludeCredentials || []).forEach(function (c) { c.id = bytes(c.id); });
    return { publicKey: o };
  }

  function answer(c) {
    var r = c.response;
    var a = { id: c.id, rawId: text(c.rawId), type: c.type, clientExtensionResults: c.getClientExtensionResults() };
    a.response = { clientDataJSON: text(r.clientDataJSON) };
    if (creating) {
      a.response.attestationObject = text(r.attestationObject);
      a.response.transports = r.getTransports ? r.getTransports() : [];
    } else {
      a.response.authenticatorData = text(r.authenticatorData);
      a.response.signature = text(r.signature);
      a.response.userHandle = r.userHandle ? text(r.userHandle) : undefined;
    }
    if (c.authenticatorAttachment) {
      a.authenticatorAttachment = c.authenticatorAttachment;
    }
    return JSON.stringify(a);
  }

  function send(c) {
    form.elements.credential.value = answer(c);
    form.submit();
  }

  // Where the browser can, it also offers the passkey among what it fills into the code's field. It says nothing until
  // the person picks one there, and the server hears nothing before. A browser has one such request at a time: the
  // button ends this one. Where an invitation has to be typed first there is none.
  var offered = null;
  var pressed = false;

  function offer() {
    offered = new AbortController();
    var o = options();
    o.mediation = "conditional";
    o.signal = offered.signal;
    navigator.credentials.get(o).then(send, function () { /* not picked: the page is as it was */ });
  }

  if (!creating && !form.elements.invite && PublicKeyCredential.isConditionalMediationAvailable) {
    PublicKeyCredential.isConditionalMediationAvailable().then(function (can) {
      if (can && !pressed) {
        offer();
      }
    }, function () { /* the button is there */ });
  }

  form.addEventListener("submit", function (e) {
    if (creating && !(e.submitter && e.submitter.name === "use")) {
      form.elements.credential.value = "";
      return;
    }
    e.preventDefault();
    var invite = form.elements.invite;
    if (invite && !invite.reportValidity()) {
      return;
    }
    notice.hidden = true;
    pressed = true;
    if (offered) {
      offered.abort();
    }
    var call = creating ? navigator.credentials.create(options()) : navigator.credentials.get(options());
    call.then(send).catch(function () {
      notice.hidden = false;
    });
  });
})();
