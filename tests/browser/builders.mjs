import assert from 'node:assert/strict';
import { test } from 'node:test';
import { downloaded, onPage, q, settled, shot } from './harness.mjs';

const range = '2016-11-01..2017-12-31';

/** The numbers of the funnel's table: [users, from first, from previous] of each step. */
async function steps(page) {
  await page.locator('main table tbody tr').first().waitFor();
  await settled(page);
  return page.locator('main table tbody tr').evaluateAll((rows) => rows.map((row) => [...row.children].slice(1, 4).map((cell) => cell.textContent)));
}

test('a funnel is built with the mouse', async () => {
  await onPage('/funnels', async (page) => {
    await settled(page);
    const choose = async (step, event) => {
      await page.getByRole('button', { name: new RegExp(`^Step ${step}:`) }).click();
      await page.getByRole('option', { name: event }).click();
    };
    await choose(1, 'Campaign Received');
    await choose(2, 'Coupon Redeemed');
    await page.getByRole('button', { name: 'Add a step' }).click();
    await page.getByRole('option', { name: 'Item Purchased' }).click();
    const amount = page.getByLabel('Length of the conversion window');
    await amount.fill('30');
    await amount.press('Enter');
    await page.waitForURL(/30d/);
    const [first, second, third] = await steps(page);
    assert.deepEqual(first.slice(0, 2), ['Campaign Received', '1,559']);
    assert.equal(second[0], 'Coupon Redeemed');
    assert.equal(third[0], 'Item Purchased');
    const users = [first, second, third].map((step) => Number(step[1].replaceAll(',', '')));
    assert.ok(users[0] > users[1] && users[1] > users[2] && users[2] > 0, `fewer at each step: ${users}`);
    await shot(page, 'funnel-by-mouse');

    await page.getByRole('button', { name: 'Break down by a property' }).click();
    await page.getByRole('option', { name: /Campaign Type/ }).click();
    await page.getByRole('columnheader', { name: 'Campaign Type' }).waitFor();
    await page.goBack();
    await page.getByRole('columnheader', { name: 'Campaign Type' }).waitFor({ state: 'detached' });
    assert.deepEqual(await steps(page), [first, second, third], 'the back button brings the old funnel back');
  });
});

test('a funnel is built with the keyboard alone', async () => {
  await onPage('', async (page) => {
    await settled(page);
    const focused = () => page.evaluate(() => document.activeElement?.getAttribute('aria-label') ?? document.activeElement?.textContent ?? '');
    const tabTo = async (label) => {
      for (let i = 0; i < 60; i++) {
        await page.keyboard.press('Tab');
        if ((await focused()).startsWith(label)) return;
      }
      assert.fail(`Tab never reaches ${label}`);
    };
    await page.keyboard.press('g');
    await page.keyboard.press('f');
    await page.getByRole('heading', { name: 'Funnels', exact: true }).waitFor();
    await settled(page);
    for (const [step, event] of [[1, 'Campaign'], [2, 'Coupon']]) {
      await tabTo(`Step ${step}:`);
      await page.keyboard.press('Enter');
      await page.getByPlaceholder('Find an event…').waitFor();
      await page.keyboard.type(event);
      await page.keyboard.press('Enter');
      await page.getByPlaceholder('Find an event…').waitFor({ state: 'detached' });
    }
    const rows = await steps(page);
    assert.deepEqual(rows[0].slice(0, 2), ['Campaign Received', '1,559']);
    assert.equal(rows[1][0], 'Coupon Redeemed');
  });
});

test('the people behind a step of a funnel are as many as the step says', async () => {
  await onPage(`/funnels?${q({ steps: [{ events: ['Campaign Received'] }, { events: ['Coupon Redeemed'] }, { events: ['Item Purchased'] }], within: '30d', range })}`, async (page) => {
    const rows = await steps(page);
    const users = rows.map((row) => Number(row[1].replaceAll(',', '')));
    const counted = async (link) => {
      await page.getByRole('link', { name: link }).click();
      await page.getByRole('heading', { name: 'Query' }).waitFor();
      await page.getByRole('heading', { name: /^Result/ }).waitFor();
      const text = await page.getByRole('heading', { name: /^Result/ }).innerText();
      await page.goBack();
      await page.getByRole('heading', { name: 'Funnels' }).waitFor();
      await steps(page);
      return Number(text.replace(/\D/g, ''));
    };
    assert.equal(await counted('Users who reached step 2'), users[1]);
    assert.equal(await counted('Users who reached step 3'), users[2]);
    assert.equal(await counted('Dropped off after step 2: users'), users[1] - users[2]);
  });
});

test('the command palette leads to a page', async () => {
  await onPage('', async (page) => {
    await settled(page);
    await page.keyboard.press('Control+k');
    await page.keyboard.type('retent');
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { name: 'Retention' }).waitFor();
  });
});

test('a trend counts every purchase of the demo, in total and in its CSV', async () => {
  const state = { series: [{ events: ['Item Purchased'], measure: 'count' }], range: '2016-11-01..2018-01-31', unit: 'month' };
  await onPage(`/trends?${q(state)}`, async (page) => {
    await settled(page);
    await page.getByText('75,000').first().waitFor();
    const { name, text } = await downloaded(page, () => page.getByRole('button', { name: 'CSV' }).first().click());
    assert.match(name, /\.csv$/);
    const lines = text.trim().split('\r\n');
    assert.equal(lines[0], 'month,Item Purchased');
    assert.equal(lines.slice(1).reduce((sum, line) => sum + Number(line.split(',')[1]), 0), 75_000);
  });
});

test('a filter completes names and values from the data', async () => {
  const state = { series: [{ events: ['Item Purchased'], measure: 'count' }], range: '2017-01-01..2017-12-31', unit: 'month' };
  await onPage(`/trends?${q(state)}`, async (page) => {
    await settled(page);
    await page.getByRole('button', { name: 'Filter', exact: true }).first().click();
    await page.keyboard.type('Departm');
    await page.keyboard.press('Enter');
    await page.getByPlaceholder('Find or type a value…').fill('PROD');
    await page.getByRole('option', { name: /^PRODUCE/ }).click();
    await page.keyboard.press('Escape');
    await page.waitForURL(/PRODUCE/);
    await settled(page);
    await page.getByText('7,612').first().waitFor();
    await shot(page, 'trends-filtered');
  });
});

test('two series, a formula and a comparison are drawn together', async () => {
  const state = {
    series: [{ events: ['Campaign Received'], measure: 'users' }, { events: ['Coupon Redeemed'], measure: 'users' }],
    formula: 'B / A * 100', compare: 'previous', range: '2017-07-01..2017-12-31', unit: 'month',
  };
  await onPage(`/trends?${q(state)}`, async (page) => {
    await settled(page);
    await page.getByText('B / A * 100').first().waitFor();
    assert.ok(await page.getByRole('columnheader', { name: /Coupon Redeemed.*earlier/ }).count());
    await shot(page, 'trends-formula');
  });
});

test('the CQL of a builder opens in the editor and gives the same numbers', async () => {
  await onPage(`/funnels?${q({ steps: [{ events: ['Campaign Received'] }, { events: ['Coupon Redeemed'] }], within: '30d', range })}`, async (page) => {
    const before = await steps(page);
    await page.getByText('CQL', { exact: true }).click();
    await page.getByRole('link', { name: 'Open in Query' }).click();
    await page.getByRole('heading', { name: 'Query' }).waitFor();
    await page.getByRole('region', { name: 'Result' }).waitFor();
    const cells = await page.getByRole('region', { name: 'Result' }).locator('tbody tr').evaluateAll((rows) => rows.map((row) => row.children[2]?.textContent));
    assert.deepEqual(cells, before.map((row) => row[1]));
  });
});

test('a report is saved, found on Home, renamed, deleted, and deleted no more', async () => {
  const name = `Coupons ${Date.now()}`;
  await onPage(`/trends?${q({ series: [{ events: ['Coupon Redeemed'], measure: 'count' }], range: '2017-01-01..2017-12-31', unit: 'month' })}`, async (page) => {
    await settled(page);
    await page.getByRole('button', { name: 'Save', exact: true }).click();
    await page.getByLabel('Name', { exact: true }).fill(name);
    await page.keyboard.press('Enter');
    await page.waitForURL(/report=/);
    await page.getByRole('heading', { name }).waitFor();

    await page.getByRole('link', { name: 'Home' }).click();
    await page.getByRole('link', { name }).waitFor();
    await page.getByRole('button', { name: `More for ${name}` }).click();
    await page.getByRole('menuitem', { name: 'Rename…' }).click();
    await page.getByLabel('Name', { exact: true }).fill(`${name} b`);
    await page.getByRole('button', { name: 'Rename' }).click();
    await page.getByRole('link', { name: `${name} b` }).waitFor();

    const remove = async () => {
      await page.getByRole('button', { name: `More for ${name} b` }).click();
      await page.getByRole('menuitem', { name: 'Delete' }).click();
      await page.getByRole('link', { name: `${name} b` }).waitFor({ state: 'detached' });
    };
    await remove();
    await page.getByRole('listitem').filter({ hasText: 'was deleted' }).getByRole('button', { name: 'Undo' }).click();
    await page.getByRole('link', { name: `${name} b` }).waitFor();
    await remove();
  });
});
