import assert from 'node:assert/strict';
import { test } from 'node:test';
import { onPage, origin, settled, shot } from './harness.mjs';

test('a client’s secret is shown once, sends an event that Live shows, and is revoked', async () => {
  const name = `Browser test ${Date.now()}`;
  await onPage('/settings', async (page) => {
    await settled(page);
    await page.getByRole('button', { name: /New client|Make the first one/ }).first().click();
    await page.getByLabel('Name', { exact: true }).fill(name);
    await page.getByRole('button', { name: 'Create' }).click();
    const id = (await page.getByTestId('Client id').innerText()).trim();
    const secret = (await page.getByTestId('Secret').innerText()).trim();
    await shot(page, 'settings-secret');
    await page.getByRole('button', { name: 'I have kept it' }).click();
    assert.equal(await page.getByText(secret).count(), 0, 'the secret is gone');

    await page.getByRole('link', { name: 'Live' }).click();
    await page.getByText('Connected', { exact: true }).waitFor();
    const send = () => fetch(`${origin}/v1/events`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', Authorization: `Basic ${Buffer.from(`${id}:${secret}`).toString('base64')}` },
      body: JSON.stringify({ events: [{ identity: 'browser_test', event: 'Browser Tested', properties: { Run: name } }] }),
    });
    const reply = await send();
    assert.equal(reply.status, 200, await reply.text());
    await page.getByRole('button', { name: 'Browser Tested: properties' }).first().waitFor();
    await page.getByRole('button', { name: 'Browser Tested: properties' }).first().click();
    await page.getByText(name).first().waitFor();
    await shot(page, 'live-event');

    await page.getByRole('button', { name: 'Pause' }).click();
    await page.getByRole('button', { name: /^Resume/ }).waitFor();

    await page.getByRole('link', { name: 'Settings' }).click();
    await page.getByRole('listitem').filter({ hasText: name }).getByRole('button', { name: 'Revoke' }).click();
    await page.getByRole('alertdialog').getByRole('button', { name: 'Revoke' }).click();
    await page.getByText(name, { exact: true }).waitFor({ state: 'detached' });
    assert.equal((await send()).status, 401, 'a revoked client is refused');
  });
});
