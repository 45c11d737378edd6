/** The demo as a whole, with the users' requests: `npm run demo -- --play` beside another one that somebody looks at. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { expect, onTestFinished, test } from 'vitest';

function startDemo(...args: readonly string[]) {
  // As npm starts it, with a Redis of its own.
  const { REDIS_URL: _, ...env } = process.env;
  const child = spawn(process.execPath, ['tools/run.mjs', 'demo', ...args], {
    env,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  onTestFinished(() => void child.kill('SIGTERM'));
  let output = '';
  child.stdout.on('data', (chunk) => {
    output += String(chunk);
  });
  const ended = once(child, 'exit').then(([code]) => code as number | null);
  return { child, ended, output: () => output, page: () => /Open {3}(http:\S+)/.exec(output)?.[1] };
}

test.runIf(existsSync('node_modules/local-slack-linux-x64/bin/local-slack'))(
  'played by itself, every way to end is shown, no request breaks, and another demo is left alone',
  { timeout: 300_000, retry: 0 },
  async () => {
    const watched = startDemo();
    const played = startDemo('--play');
    await expect.poll(watched.page, { timeout: 60_000 }).toBeDefined();
    expect(await played.ended).toBe(0);
    for (const words of [/v2 is live/, /v3-err20 is aborted at 10%: a check failed/, /v4 is aborted by @ana/])
      expect(played.output()).toMatch(words);
    expect(played.output()).toMatch(/the bot is back/);
    expect(played.output()).toMatch(/users sent \d{3,} requests; 0 were broken or refused by the proxy/);
    expect((await fetch(watched.page() ?? '')).status).toBe(200);
    watched.child.kill('SIGINT');
    expect(await watched.ended).toBe(0);
  },
);
