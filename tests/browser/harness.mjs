// One browser, signed in once, for all browser tests, and the server under test: `kolam demo` (or `serve`)
// on a folder of its own. With KOLAM_LINK=http://127.0.0.1:8080/signin?ticket=… (or KOLAM_URL with
// KOLAM_EMAIL and KOLAM_PASSWORD) it's a server that runs already and has the demo's data. Screenshots
// go to KOLAM_SCREENSHOTS, if given.
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Server, eventually } from '../scenario/server.mjs';

const require = createRequire(new URL('../../web/package.json', import.meta.url));
const { chromium } = require('playwright-core');
const { AxeBuilder } = require('@axe-core/playwright');

let link = process.env.KOLAM_LINK;
export let origin = link ? new URL(link).origin : process.env.KOLAM_URL;
const screenshots = process.env.KOLAM_SCREENSHOTS;

let profile;
let context;
let server;
export let project;

const flags = ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync'];

/** Starts `kolam demo` or `kolam serve` and returns the link that it prints. */
async function serve(command) {
  server = await Server.start({ command, setup: false });
  const printed = await eventually(() => /http:\/\/127\.0\.0\.1:\d+\/(?:signin\?ticket|setup\?token)=[\w.~-]+/.exec(server.output), 'the link is printed');
  return printed[0];
}

/** The browser, and a server unless one was named. Gives the link that the server printed. */
export async function start(command = 'demo') {
  if (!origin) {
    link = await serve(command);
    origin = new URL(link).origin;
  }
  profile = mkdtempSync(join(tmpdir(), 'kolam-browser-'));
  context = await chromium.launchPersistentContext(profile, {
    executablePath: process.env.KOLAM_CHROMIUM ?? '/usr/bin/chromium', args: flags, viewport: { width: 1440, height: 900 },
    colorScheme: 'light', acceptDownloads: true,
  });
  context.setDefaultTimeout(15_000);
  if (screenshots) mkdirSync(screenshots, { recursive: true });
  return link;
}

export async function stop() {
  await context?.close();
  await server?.stop();
  if (profile) rmSync(profile, { recursive: true, force: true });
}

/** An empty tab; a fresh one has forgotten who was signed in. */
export async function tab({ fresh = false } = {}) {
  if (fresh) await context.clearCookies();
  return context.newPage();
}

/** Signs in the way that a person does who was given the link (or has a password). */
export async function signIn() {
  const page = await context.newPage();
  const faults = watch(page);
  if (link) await page.goto(link);
  else {
    await page.goto(`${origin}/signin`);
    await page.getByLabel('Email').fill(process.env.KOLAM_EMAIL ?? '');
    await page.getByLabel('Password').fill(process.env.KOLAM_PASSWORD ?? '');
    await page.getByRole('button', { name: 'Sign in' }).click();
  }
  await page.waitForURL(/\/p\/[^/]+$/);
  project = new URL(page.url()).pathname.split('/')[2];
  await page.getByRole('navigation', { name: 'Pages' }).waitFor();
  assert.deepEqual(faults, []);
  await page.close();
}

/** Gathers what a page complains about. Refused questions are answers, not faults. */
function watch(page, refusedConnections = false) {
  const faults = [];
  page.on('console', (message) => {
    const refused = /status of (4\d\d)/.test(message.text()) && message.location().url.includes('/v1/');
    const cutOff = refusedConnections && /net::ERR_/.test(message.text());
    if (message.type() === 'error' && !refused && !cutOff) faults.push(message.text());
  });
  page.on('pageerror', (error) => faults.push(error.message));
  return faults;
}

/** Opens a page of the project and hands it to the test; fails if the browser's console has errors. */
export async function onPage(path, run, { dark = false, width = 1440, height = 900, refusedConnections = false } = {}) {
  const page = await context.newPage();
  await page.setViewportSize({ width, height });
  await page.emulateMedia({ colorScheme: dark ? 'dark' : 'light' });
  const faults = watch(page, refusedConnections);
  try {
    await page.goto(`${origin}/p/${project}${path}`);
    await run(page);
    assert.deepEqual(faults, [], `the console of ${path || '/'}`);
  } catch (error) {
    await shot(page, `failed-${path.replace(/\W+/g, '-').slice(0, 40)}`).catch(() => undefined);
    throw error;
  } finally {
    await page.close();
  }
}

export async function shot(page, name) {
  if (screenshots) await page.screenshot({ path: join(screenshots, `${name}.png`), fullPage: true });
}

/** Waits until nothing of the page is a skeleton any more. */
export async function settled(page) {
  await page.locator('main h1').first().waitFor();
  await page.waitForFunction(() => document.querySelectorAll('.skeleton').length === 0);
  await page.waitForLoadState('networkidle').catch(() => undefined);
}

/** WCAG A and AA. What is serious or critical fails. */
export async function accessible(page, { except = [] } = {}) {
  const { violations } = await new AxeBuilder({ page }).withTags(['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa']).disableRules(except).analyze();
  const bad = violations.filter((one) => one.impact === 'serious' || one.impact === 'critical');
  assert.deepEqual(bad.map((one) => `${one.id}: ${one.nodes.slice(0, 3).map((node) => `${node.target} ${node.any[0]?.message ?? ''}`).join(' | ')}`), []);
}

export async function noSidewaysScroll(page) {
  const over = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
  assert.ok(over <= 0, `the page is ${over} px too wide`);
}

/** The text of a file that a click downloads. */
export async function downloaded(page, click) {
  const [file] = await Promise.all([page.waitForEvent('download'), click()]);
  const chunks = [];
  for await (const chunk of await file.createReadStream()) chunks.push(chunk);
  return { name: file.suggestedFilename(), text: Buffer.concat(chunks).toString('utf8') };
}

export function q(state) {
  return `q=${encodeURIComponent(JSON.stringify(state))}`;
}
