import assert from 'node:assert/strict';
import { test } from 'node:test';
import { onPage, settled, shot } from './harness.mjs';

test('a rule of the project is changed, kept, and taken back', async () => {
  await onPage('/settings?tab=project', async (page) => {
    await settled(page);
    const days = page.getByLabel('Days in which an event id counts once');
    const save = page.getByRole('button', { name: 'Save' });
    await days.waitFor();
    const before = await days.inputValue();
    assert.ok(await save.isDisabled(), 'there is nothing to save yet');
    await days.fill('30');
    await page.getByLabel('Name of an event to turn away').fill('Noise');
    await page.keyboard.press('Enter');
    await page.getByRole('button', { name: 'Accept Noise again' }).waitFor();
    await shot(page, 'settings-rules');
    await save.click();
    await page.getByText('The rules were changed.').waitFor();
    await page.reload();
    assert.equal(await days.inputValue(), '30');
    await page.getByRole('button', { name: 'Accept Noise again' }).click();
    await days.fill(before);
    await save.click();
    await page.getByText('None: every event is accepted.').waitFor();
    await page.reload();
    await days.waitFor();
    assert.equal(await days.inputValue(), before);
  });
});

test('a limit out of its range is refused before it is sent', async () => {
  await onPage('/settings?tab=project', async (page) => {
    await settled(page);
    const limit = page.getByLabel('Event types');
    await limit.waitFor();
    await limit.fill('99999999');
    await page.getByRole('button', { name: 'Save' }).click();
    assert.ok(await limit.evaluate((input) => !input.checkValidity()), 'the browser says what is wrong');
    await page.getByRole('button', { name: 'Reset' }).click();
    assert.ok(await limit.evaluate((input) => input.checkValidity()));
  });
});
