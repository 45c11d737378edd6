// Takes the pictures of the README from a fresh `npm run demo`, with the Chromium of this machine:
//   node docs/images/take.mjs <address of the Slack page> <folder with node_modules/playwright-core>
import { createRequire } from 'node:module';
import { dirname, join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const [address = '', folder = '.'] = process.argv.slice(2);
const here = dirname(fileURLToPath(import.meta.url));
const { chromium } = createRequire(join(resolve(folder), 'x.js'))('playwright-core');
const browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: ['--no-sandbox'] });

const still = '.msg:hover { background: none !important } .msg-hover-actions { display: none !important }';
// local-slack's page is made for wide windows: on a phone only the thread is shown.
const phone = `.sidebar, .main, .topbar, .composer, .thread-resize-handle { display: none !important }
  .thread-pane { width: 100% !important; max-width: none !important; flex: 1 !important; border: none !important } ${still}`;

const open = async (width, height, deviceScaleFactor) => {
  const page = await browser.newPage({ viewport: { width, height }, deviceScaleFactor });
  await page.goto(address);
  await page.waitForSelector('.messages');
  return page;
};
const wide = await open(1280, 760, 1);
const narrow = await open(390, 780, 2);
await wide.addStyleTag({ content: still });

const deploy = async (version) => {
  const threads = await wide.locator('.thread-summary').count();
  await actAs('ana');
  const box = wide.locator('.main .composer textarea');
  await box.fill(`/deploy world ${version}`);
  await box.press('Enter');
  await wide.locator('.thread-summary').nth(threads).click({ timeout: 60_000 });
};
const actAs = (name) => wide.locator('.actas select').selectOption({ label: name });
const button = (label) => wide.locator('.thread-pane .bk-button', { hasText: label }).last();
const press = (label) => button(label).click({ timeout: 60_000 });
const shown = (text) => wide.locator('.thread-pane', { hasText: text }).waitFor({ timeout: 60_000 });
const atEnd = async (page) => {
  await sleep(1_000);
  await page.evaluate("document.querySelector('.thread-body').scrollTop = 1e6");
};
const take = async (page, name) => {
  await page.mouse.move(0, 0);
  await atEnd(page);
  await page.screenshot({ path: join(here, `${name}.png`) });
};
const takeNarrow = async (name, height) => {
  await narrow.setViewportSize({ width: 390, height });
  await narrow.reload();
  await narrow.locator('.thread-summary').last().click();
  await narrow.addStyleTag({ content: phone });
  await take(narrow, name);
};

await deploy('v2 --reason "new greeting"');
await button('Approve 10%').waitFor({ timeout: 60_000 });
await takeNarrow('preview', 540);
await actAs('bo');
await press('Approve 10%');
await button('Approve 50%').waitFor({ timeout: 60_000 });
await sleep(2_000); // the picture follows
await take(wide, 'gate');
await takeNarrow('gate-phone', 780);
for (const label of ['Approve 50%', 'Approve 100%', 'Promote']) await press(label);
await shown('All traffic is on v2.');
await sleep(7_000); // the cool-down
await take(wide, 'live');
await takeNarrow('live-phone', 780);
await deploy('v3-err20');
await actAs('cy');
await press('Approve 10%');
await shown('a check failed');
await sleep(7_000);
await takeNarrow('rolled-back-phone', 640);
await browser.close();
