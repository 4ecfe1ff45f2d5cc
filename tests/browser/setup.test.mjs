// The very first visit, to a server on a fresh folder.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { accessible, noSidewaysScroll, shot, start, stop, tab } from './harness.mjs';

let link;
const person = { name: 'Asha Rao', email: 'asha@example.com', password: 'a long enough password' };

before(async () => { link = await start('serve'); });
after(stop);

test('the one-time link makes the owner, who is signed in, and works once', async () => {
  const page = await tab();
  await page.goto(new URL('/', link).href);
  await page.getByText('This Kolam has no owner yet').waitFor();
  await page.goto(link);
  await accessible(page);
  await shot(page, 'setup');
  await page.setViewportSize({ width: 360, height: 780 });
  await noSidewaysScroll(page);
  await page.getByLabel('Your name').fill(person.name);
  await page.getByLabel('Email').fill(person.email);
  await page.getByLabel('Password').fill(person.password);
  await page.getByLabel('Organisation').fill('Regency');
  await page.getByLabel('First project').fill('Shop');
  await page.getByLabel('Time zone').click();
  await page.getByPlaceholder('Find a time zone…').fill('Kolkata');
  await page.keyboard.press('Enter');
  await page.getByRole('button', { name: 'Create the owner and sign in' }).click();
  await page.getByText('Waiting for the first event of Shop').waitFor();

  await page.goto(link);
  await page.getByText(/Open the newest link|isn't good/).first().waitFor();
  await page.close();
});

test('the owner signs in with the password, and a wrong one is refused', async () => {
  const page = await tab({ fresh: true });
  await page.goto(new URL('/', link).href);
  await page.waitForURL(/\/signin/);
  await page.getByLabel('Email').fill(person.email);
  await page.getByLabel('Password').fill('not the password');
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByRole('alert').waitFor();
  await accessible(page);
  await page.getByLabel('Password').fill(person.password);
  await page.keyboard.press('Enter');
  await page.waitForURL(/\/p\/[^/]+$/);
  assert.equal(await page.getByRole('alert').count(), 0);
  await page.close();
});
