// The whole dashboard in a real Chromium against a real server with the demo data; see harness.mjs.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { onPage, origin, signIn, start, stop } from './harness.mjs';

before(() => start());
after(stop);

test('the link signs in, and what is sent to the browser has a strict policy', async () => {
  const page = await fetch(`${origin}/`);
  const policy = page.headers.get('content-security-policy') ?? '';
  assert.match(policy, /default-src 'self'/);
  assert.match(policy, /script-src 'self'(;|$)/);
  await signIn();
});

await import('./pages.mjs');
await import('./builders.mjs');
await import('./flows.mjs');
await import('./query.mjs');
await import('./states.mjs');
await import('./clients.mjs');
await import('./rules.mjs');

test('signing out leads to the sign-in page, and back there', async () => {
  await onPage('/users', async (page) => {
    await page.getByRole('button', { name: /Account menu/ }).click();
    await page.getByRole('menuitem', { name: 'Sign out' }).click();
    await page.getByRole('heading', { name: 'Sign in' }).waitFor();
    await page.goto(`${origin}/p/x/users`);
    await page.waitForURL(/\/signin\?next=/);
  });
});
