import assert from 'node:assert/strict';
import { test } from 'node:test';
import { accessible, downloaded, onPage, settled, shot } from './harness.mjs';

const editor = (page) => page.getByRole('textbox', { name: 'CQL query' });

async function write(page, text) {
  await editor(page).click();
  await page.keyboard.press('Control+a');
  await page.keyboard.insertText(text);
}

test('a query runs on Ctrl Enter and its result downloads as CSV', async () => {
  await onPage('/query', async (page) => {
    await settled(page);
    await write(page, 'SELECT count(), users() FROM events GROUP BY event ORDER BY count() DESC');
    await page.keyboard.press('Control+Enter');
    const table = page.getByRole('region', { name: 'Result' });
    await table.waitFor();
    assert.deepEqual(await table.locator('tbody tr').evaluateAll((rows) => rows.slice(0, 3).map((row) => [...row.children].map((cell) => cell.textContent))), [
      ['Item Purchased', '75,000', '2,377'], ['Campaign Received', '6,589', '1,559'], ['Coupon Redeemed', '2,102', '410'],
    ]);
    await page.getByTestId('meta').waitFor();
    const { text } = await downloaded(page, () => page.getByRole('button', { name: 'CSV' }).click());
    assert.match(text, /^event,count\(\),users\(\)\r\nItem Purchased,75000,2377\r\n/);
    await shot(page, 'query-result');
  });
});

test('a wrong name is underlined where it stands, and the suggestion repairs it', async () => {
  await onPage('/query', async (page) => {
    await settled(page);
    await write(page, "SELECT count() FROM events\n WHERE event = 'Item Purchasd' GROUP BY month");
    await page.keyboard.press('Control+Enter');
    const mark = page.locator('.cm-lintRange-error');
    await mark.waitFor();
    assert.match(await mark.innerText(), /Purchasd/);
    await page.getByTestId('query-error').getByText('line 2').waitFor();
    await accessible(page);
    await shot(page, 'query-error');
    await page.getByRole('button', { name: /^Use “Item Purchased”/ }).click();
    await editor(page).click();
    await page.keyboard.press('Control+Enter');
    await page.getByRole('region', { name: 'Result' }).waitFor();
    assert.equal(await mark.count(), 0);
  });
});

test('the editor completes events, properties and values', async () => {
  await onPage('/query', async (page) => {
    await settled(page);
    await write(page, 'SELECT count() FROM events WHERE event = ');
    await page.keyboard.type("'Cou");
    await page.locator('.cm-tooltip-autocomplete').getByText("'Coupon Redeemed'").waitFor();
    await page.waitForTimeout(120); // the list ignores keys that come in the moment it opens
    await page.keyboard.press('Enter');
    await page.keyboard.type(' GROUP BY Campaig');
    await page.locator('.cm-tooltip-autocomplete').getByText('"Campaign Type"').waitFor();
    await page.keyboard.press('Escape');
    assert.match((await editor(page).innerText()).replace(/\s+/g, ' '), /event = 'Coupon Redeemed' GROUP BY Campaig/);
    await write(page, 'SELECT count() FROM events WHERE Department = ');
    await page.keyboard.type("'PROD");
    await page.locator('.cm-tooltip-autocomplete').getByText("'PRODUCE'").waitFor();
    await shot(page, 'query-completion');
  });
});

test('what was run is in the history', async () => {
  await onPage('/query', async (page) => {
    await settled(page);
    await write(page, 'SELECT users() FROM events');
    await page.keyboard.press('Control+Enter');
    await page.getByRole('region', { name: 'Result' }).waitFor();
    await write(page, 'SELECT');
    await page.getByRole('button', { name: 'History' }).click();
    await page.getByRole('menuitem', { name: /SELECT users\(\) FROM events/ }).click();
    assert.match(await editor(page).innerText(), /SELECT users\(\) FROM events/);
  });
});
