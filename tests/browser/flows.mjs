import assert from 'node:assert/strict';
import { test } from 'node:test';
import { downloaded, onPage, q, settled, shot } from './harness.mjs';

const range = '2016-11-01..2017-12-31';
const start = { events: ['Campaign Received'] };

/** [path, users, ended here] of the rows of the table that are in sight. */
async function paths(page) {
  await page.locator('main table tbody tr').first().waitFor();
  await settled(page);
  return page.locator('main table tbody tr').evaluateAll((rows) =>
    rows.filter((row) => row.children.length > 5).map((row) => [0, 2, 5].map((at) => row.children[at].textContent)));
}

const count = (text) => Number(text.replaceAll(',', ''));

test('a flow is built with the mouse, and its numbers add up', async () => {
  await onPage('/flows', async (page) => {
    await settled(page);
    await page.getByText('Choose an event to see').waitFor();
    await page.getByRole('button', { name: /^First event:/ }).click();
    await page.getByRole('option', { name: 'Campaign Received' }).click();
    const all = await paths(page);
    const bars = await page.locator('main svg [data-node]').count();
    assert.ok(bars > 8, `${bars} bars`);
    assert.equal(all[0][0], 'Campaign Received');
    await page.getByRole('combobox', { name: 'How many steps' }).click();
    await page.getByRole('option', { name: '1 step', exact: true }).click();
    await page.waitForURL(/steps/);
    await page.waitForFunction(() => document.querySelectorAll('main svg [data-node]').length < 8);
    const [root, ...next] = await paths(page);
    const below = next.reduce((sum, row) => sum + count(row[1]), 0);
    assert.equal(count(root[1]), below + count(root[2]), 'who started went on, or ended there');
    await page.goBack();
    await page.waitForFunction((before) => document.querySelectorAll('main svg [data-node]').length === before, bars);
    await shot(page, 'flow-by-mouse');
  });
});

test('the path of a bar lights up by pointer and by keyboard', async () => {
  await onPage(`/flows?${q({ start, collapse: true, range })}`, async (page) => {
    await paths(page);
    const detail = page.getByTestId('flow-detail');
    const bars = page.locator('main svg [data-node]');
    await bars.first().hover();
    assert.match(await detail.textContent(), /^Campaign Received: [\d,]+ users, 100/);
    await bars.first().focus();
    await page.keyboard.press('ArrowRight');
    assert.match(await detail.textContent(), /^Campaign Received → .+: [\d,]+ users/);
    await page.keyboard.press('ArrowLeft');
    assert.match(await detail.textContent(), /^Campaign Received: /);
    await shot(page, 'flow-light');
  });
});

test('what users did before an event is read from left to right too', async () => {
  await onPage(`/flows?${q({ direction: 'to', start: { events: ['Coupon Redeemed'] }, steps: 2, within: '7d', range })}`, async (page) => {
    const [root, first] = await paths(page);
    assert.equal(root[0], 'Coupon Redeemed');
    assert.match(first[0], / → Coupon Redeemed$/);
    await shot(page, 'flow-backwards');
  });
});

test('a flow has its file', async () => {
  await onPage(`/flows?${q({ start, steps: 1, range })}`, async (page) => {
    const rows = await paths(page);
    const { text: csv } = await downloaded(page, () => page.getByRole('button', { name: 'CSV' }).click());
    const lines = csv.trim().split(/\r?\n/);
    assert.equal(lines[0], 'path,depth,users,dropped');
    assert.equal(lines.length, rows.length + 1);
  });
});

test('flows in the dark, on a phone, and of nobody', async () => {
  const query = q({ start, collapse: true, expand: [{ event: 'Item Purchased', property: 'Department' }], range });
  await onPage(`/flows?${query}`, async (page) => {
    assert.ok((await paths(page)).some((row) => row[0].includes('Item Purchased: ')));
    await shot(page, 'flow-dark');
  }, { dark: true });
  await onPage(`/flows?${query}`, async (page) => {
    await settled(page);
    const wide = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
    assert.equal(wide, 0, 'the page itself is never wider than the screen');
    await shot(page, 'flow-narrow');
  }, { width: 360, height: 780 });
  await onPage(`/flows?${q({ start, range: '2015-01-01..2015-01-31' })}`, async (page) => {
    await page.getByText('Nobody did the first event in this range').waitFor();
    await shot(page, 'flow-empty');
  });
});
