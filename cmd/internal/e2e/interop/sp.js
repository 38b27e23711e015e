'use strict';

// A service provider made of @node-saml/node-saml. It reads one JSON object a line,
// {"do": …}, and answers each by one line: {"ok": …} or {"error": "…"}. It opens no port.

const { SAML, generateServiceProviderMetadata } = require('@node-saml/node-saml');
const readline = require('node:readline');

let saml;
let options;

const commands = {
  configure(o) {
    options = o;
    saml = new SAML(o);
    return {};
  },
  metadata({ signing, encryption }) {
    return {
      xml: generateServiceProviderMetadata({
        issuer: options.issuer,
        callbackUrl: options.callbackUrl,
        logoutCallbackUrl: options.logoutCallbackUrl,
        identifierFormat: options.identifierFormat,
        wantAssertionsSigned: true,
        privateKey: options.privateKey,
        publicCerts: signing,
        decryptionPvk: options.decryptionPvk,
        decryptionCert: encryption,
        generateUniqueId: () => '_metadata',
      }),
    };
  },
  async redirect({ relayState }) {
    return { url: await saml.getAuthorizeUrlAsync(relayState, undefined, {}) };
  },
  async post({ relayState }) {
    return { html: await saml.getAuthorizeFormAsync(relayState) };
  },
  async validate({ response }) {
    const { profile } = await saml.validatePostResponseAsync({ SAMLResponse: response });
    const { issuer, nameID, nameIDFormat, sessionIndex, inResponseTo, attributes } = profile;
    return { issuer, nameID, nameIDFormat, sessionIndex, inResponseTo, attributes };
  },
  async logout({ profile, relayState }) {
    return { url: await saml.getLogoutUrlAsync(profile, relayState, {}) };
  },
  async loggedOut({ response, query }) {
    const { loggedOut } = query
      ? await saml.validateRedirectAsync(Object.fromEntries(new URLSearchParams(query)), query)
      : await saml.validatePostResponseAsync({ SAMLResponse: response });
    return { loggedOut };
  },
};

async function main() {
  for await (const line of readline.createInterface({ input: process.stdin })) {
    let answer;
    try {
      const { do: name, ...rest } = JSON.parse(line);
      answer = { ok: await commands[name](rest) };
    } catch (error) {
      answer = { error: String(error && error.message) };
    }
    process.stdout.write(JSON.stringify(answer) + '\n');
  }
}

main();
