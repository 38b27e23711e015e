'use strict';

// An OpenID provider made of oidc-provider, on a loopback port of its own. It reads one JSON object a line, {"do": …},
// and answers each by one line: {"ok": …} or {"error": "…"}. Its sign-in page asks for no password: it has a button
// for each person.

const crypto = require('node:crypto');
const http = require('node:http');
const { pathToFileURL } = require('node:url');
const readline = require('node:readline');

// The library says on standard output what it would have one configure.
console.log = console.info = console.error;

const people = {
  'u-1001': {
    given_name: 'Olga', family_name: 'Orlova', email: 'olga@example.com', email_verified: true, groups: ['editors'],
  },
  'u-1002': {
    given_name: 'Pavel', family_name: 'Petrov', email: 'alice@example.test', email_verified: false, groups: [],
  },
};

let Provider;
let provider;
let issuer;
let options;
let keys = [];
let down = false;
let asked = {};
// Answers of the token endpoint that are held back, and how often it was called.
let hold = false;
let calls = 0;

function key(kid) {
  const { privateKey } = crypto.generateKeyPairSync('rsa', { modulusLength: 2048 });
  return { ...privateKey.export({ format: 'jwk' }), kid, use: 'sig', alg: 'RS256' };
}

function make() {
  provider = new Provider(issuer, {
    clients: [options.client],
    jwks: { keys },
    cookies: { keys: ['of a test'] },
    claims: { openid: ['sub'], profile: ['given_name', 'family_name', 'groups'], email: ['email', 'email_verified'] },
    features: {
      devInteractions: { enabled: false }, backchannelLogout: { enabled: true }, rpInitiatedLogout: { enabled: true },
    },
    pkce: { required: () => true },
    interactions: { url: (ctx, interaction) => `/sign-in/${interaction.uid}` },
    findAccount: (ctx, sub) => people[sub] && { accountId: sub, claims: () => ({ sub, ...people[sub] }) },
    // The bridge was allowed by an administrator.
    async loadExistingGrant(ctx) {
      const grant = new provider.Grant({
        clientId: ctx.oidc.client.clientId, accountId: ctx.oidc.session.accountId,
      });
      grant.addOIDCScope('openid profile email');
      await grant.save();
      return grant;
    },
  });
}

async function signIn(req, res) {
  const details = await provider.interactionDetails(req, res);
  if (req.method === 'POST') {
    let body = '';
    for await (const part of req) body += part;
    const login = { accountId: new URLSearchParams(body).get('who') };
    await provider.interactionFinished(req, res, { login }, { mergeWithLastSubmission: false });
    return;
  }
  asked = details.params;
  res.setHeader('Content-Type', 'text/html; charset=utf-8');
  res.end(`<!doctype html><title>Workforce</title><h1>Sign in to the workforce</h1><form method="post">${
    Object.entries(people).map(([sub, p]) => `<button name="who" value="${sub}">I am ${p.given_name}</button>`).join('')
  }</form>`);
}

const commands = {
  async start({ client }) {
    ({ Provider } = await import(pathToFileURL(require.resolve('oidc-provider')).href));
    const server = http.createServer((req, res) => {
      if (down) {
        res.statusCode = 503;
        res.end('down');
      } else if (req.url.startsWith('/sign-in/')) {
        signIn(req, res).catch((error) => {
          res.statusCode = 500;
          res.end(String(error));
        });
      } else if (req.url === '/token') {
        calls += 1;
        if (!hold) provider.callback()(req, res);
      } else {
        provider.callback()(req, res);
      }
    });
    await new Promise((listening) => { server.listen(0, '127.0.0.1', listening); });
    issuer = `http://127.0.0.1:${server.address().port}`;
    options = { client };
    keys = [key('first')];
    make();
    return { issuer };
  },
  // The next key is published first in the set, so that it signs; the former one goes.
  rotate() {
    keys = [key('second')];
    make();
    return {};
  },
  register({ client }) {
    options = { client };
    make();
    return {};
  },
  down({ is }) {
    down = is;
    return {};
  },
  // The token endpoint answers nobody who comes meanwhile.
  hold({ is }) {
    hold = is;
    return {};
  },
  calls() {
    return { calls };
  },
  asked({ forget }) {
    if (forget) asked = {};
    return asked;
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
  process.exit(0);
}

main();
