import assert from 'node:assert/strict';
import { test } from 'node:test';
import { accessible, onPage, q, settled, shot } from './harness.mjs';

const trend = `/trends?${q({ series: [{ events: ['Item Purchased'], measure: 'count' }], range: '2017-01-01..2017-12-31', unit: 'month' })}`;

test('what opens over a page is accessible too', async () => {
  await onPage(trend, async (page) => {
    await settled(page);
    // While a list of choices is open the rest is hidden from screen readers and the focus can't leave the
    // list; axe knows that of dialogs only.
    const choices = { except: ['aria-hidden-focus'] };
    const openings = [
      () => page.getByRole('button', { name: /^Series A:/ }).click(),
      () => page.getByRole('button', { name: /^Time range:/ }).click(),
      () => page.getByRole('button', { name: 'Save', exact: true }).click(),
      () => page.keyboard.press('Control+k'),
      () => page.getByRole('button', { name: /Account menu/ }).click(),
    ];
    for (const open of openings) {
      await open();
      await page.waitForFunction(() => document.getAnimations().every((one) => one.playState !== 'running'));
      await accessible(page);
      await page.keyboard.press('Escape');
    }
    await page.getByRole('combobox', { name: 'Unit of time' }).click();
    await accessible(page, choices);
  });
});

test('a server that can’t be reached is said so, and a retry helps', async () => {
  await onPage(trend, async (page) => {
    await settled(page);
    const stop = (route) => route.abort('connectionrefused');
    await page.route('**/v1/query', stop);
    await page.getByRole('button', { name: 'Ask again' }).click();
    await page.getByRole('alert').getByText("can't be reached").waitFor();
    await page.unroute('**/v1/query', stop);
    await page.getByRole('button', { name: 'Ask again' }).click();
    await page.getByRole('alert').waitFor({ state: 'detached' });
    await page.getByText('75,000').first().waitFor();
  }, { refusedConnections: true });
});

test('a running query shows that it runs, and can be cancelled and run again', async () => {
  await onPage('/shortcuts', async (page) => {
    let release;
    const held = new Promise((resolve) => (release = resolve));
    const hold = async (route) => {
      await held;
      await route.abort().catch(() => undefined);
    };
    await page.route('**/v1/query', hold);
    const told = page.waitForRequest((request) => request.method() === 'DELETE' && request.url().includes('/v1/queries/'));
    await page.goto(page.url().replace('/shortcuts', trend));
    await page.getByRole('status', { name: 'Running the query' }).waitFor();
    await page.getByRole('button', { name: 'Cancel' }).click();
    await page.getByText('Cancelled', { exact: true }).waitFor();
    await told;
    release();
    await page.unroute('**/v1/query', hold);
    await page.getByRole('button', { name: 'Run again' }).click();
    await page.getByText('75,000').first().waitFor();
  }, { refusedConnections: true });
});

test('a range in which nothing happened says what to do', async () => {
  await onPage(`/trends?${q({ series: [{ events: ['Item Purchased'], measure: 'count' }], range: '2010-01-01..2010-01-31', unit: 'day' })}`, async (page) => {
    await page.getByText('Nothing happened in this range').waitFor();
    await page.keyboard.press('a');
    await page.getByText('75,000').first().waitFor();
  });
});

test('a new project waits for its first event and tells how to send it', async () => {
  const name = `Empty ${Date.now()}`;
  await onPage('/settings?tab=project', async (page) => {
    await settled(page);
    await page.getByRole('button', { name: 'New project' }).click();
    await page.getByLabel('Name', { exact: true }).fill(name);
    await page.getByRole('button', { name: 'Create', exact: true }).click();
    await page.getByText(`Waiting for the first event of ${name}`).waitFor();
    await accessible(page);
    await shot(page, 'home-empty');
    await page.getByRole('link', { name: 'Trends' }).click();
    await page.getByText('No events yet').waitFor();
    await page.getByRole('link', { name: 'Users' }).click();
    await page.getByText('No users yet').waitFor();
    assert.equal(await page.getByRole('alert').count(), 0);
  });
});
