import assert from 'node:assert/strict';
import { test } from 'node:test';
import { accessible, noSidewaysScroll, onPage, q, settled, shot } from './harness.mjs';

const range = '2016-11-01..2017-12-31';
const funnel = {
  steps: [{ events: ['Campaign Received'] }, { events: ['Coupon Redeemed'] }, { events: ['Item Purchased'] }], within: '30d', range,
};

const pages = {
  home: '',
  live: '/live',
  trends: `/trends?${q({ series: [{ events: ['Item Purchased'], measure: 'count' }], by: { on: 'event', name: 'Brand' }, range, unit: 'week' })}`,
  funnels: `/funnels?${q(funnel)}`,
  flows: `/flows?${q({ start: { events: ['Campaign Received'] }, collapse: true, range })}`,
  retention: `/retention?${q({ start: { events: ['Item Purchased'] }, back: { events: ['Item Purchased'] }, first: true, unit: 'month', periods: 11, range })}`,
  users: '/users',
  user: '/user?id=1',
  query: `/query?cql=${encodeURIComponent('SELECT count(), users() FROM events GROUP BY event')}`,
  'settings-clients': '/settings',
  'settings-send': '/settings?tab=send',
  'settings-project': '/settings?tab=project',
  shortcuts: '/shortcuts',
};

for (const [name, path] of Object.entries(pages)) {
  test(`${name} opens without faults and without serious accessibility violations, light and dark`, async () => {
    for (const dark of [false, true]) {
      await onPage(path, async (page) => {
        await settled(page);
        assert.equal(await page.getByRole('alert').count(), 0, 'no error is shown');
        await accessible(page);
        await shot(page, `${name}${dark ? '-dark' : ''}`);
      }, { dark });
    }
  });

  test(`${name} fits a screen 360 px wide`, async () => {
    await onPage(path, async (page) => {
      await settled(page);
      await noSidewaysScroll(page);
      await shot(page, `${name}-narrow`);
    }, { width: 360, height: 780 });
  });
}

test('home shows the demo’s saved reports as pictures', async () => {
  await onPage('', async (page) => {
    await settled(page);
    const cards = page.locator('main > div > ul > li');
    assert.ok((await cards.count()) >= 4, 'at least four cards');
    assert.ok((await page.locator('main canvas').count()) >= 1, 'a chart is drawn');
    assert.ok(await page.getByRole('table').first().isVisible(), 'the retention table is shown');
  });
});

test('the menu opens on a narrow screen and leads on', async () => {
  await onPage('', async (page) => {
    await settled(page);
    await page.getByRole('button', { name: 'Open the menu' }).click();
    await page.getByRole('link', { name: 'Users' }).click();
    await page.getByRole('heading', { name: 'Users' }).waitFor();
    assert.equal(await page.getByRole('navigation', { name: 'Pages' }).isVisible(), false, 'the menu closes again');
  }, { width: 360, height: 780 });
});

test('dark and light can be chosen, and the choice stays', async () => {
  await onPage('', async (page) => {
    const theme = () => page.evaluate(() => document.documentElement.dataset.theme);
    await settled(page);
    assert.equal(await theme(), 'light');
    await page.getByRole('button', { name: /Account menu/ }).click();
    await page.getByRole('menuitemcheckbox', { name: 'Dark' }).click();
    assert.equal(await theme(), 'dark');
    await page.reload();
    await settled(page);
    assert.equal(await theme(), 'dark');
    await page.getByRole('button', { name: /Account menu/ }).click();
    await page.getByRole('menuitemcheckbox', { name: 'System' }).click();
    assert.equal(await theme(), 'light');
  });
});

test('a search among users leads to a profile and its timeline', async () => {
  await onPage('/users', async (page) => {
    await settled(page);
    await page.keyboard.press('/');
    await page.keyboard.type('392');
    await page.getByRole('link', { name: '392', exact: true }).click();
    await page.getByRole('heading', { name: 'Timeline' }).waitFor();
    const event = page.getByRole('button', { name: /Item Purchased/ }).first();
    await event.click();
    await page.getByText('Basket ID').first().waitFor();
    await shot(page, 'user-open');
  });
});

test('an address that leads nowhere says so', async () => {
  await onPage('/nowhere', async (page) => {
    await page.getByText('There is nothing at this address').waitFor();
  });
});
