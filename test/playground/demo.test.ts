import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, expect, onTestFinished, test } from 'vitest';
import { parse } from 'yaml';
import { demoConfiguration } from '../../playground/demo/configuration.ts';
import { readOptions } from '../../playground/demo/options.ts';
import { transcript } from '../../playground/demo/transcript.ts';
import { parseConfig } from '../../src/core/parse-config.ts';

const root = mkdtempSync(join(tmpdir(), 'sluice-options-'));
const binary = join(root, 'node_modules', 'local-slack-linux-x64', 'bin', 'local-slack');
mkdirSync(dirname(binary), { recursive: true });
writeFileSync(binary, '');
afterAll(() => rmSync(root, { recursive: true }));

const tokens = { SLACK_BOT_TOKEN: 'xoxb-1', SLACK_APP_TOKEN: 'xapp-1' };
const here = { platform: 'linux', arch: 'x64', root, env: {} };

test.each([
  ['nothing typed', [], here, { kind: 'local', binary, play: false }],
  ['--play', ['--play'], here, { kind: 'local', binary, play: true }],
  ['tokens lie about in the shell', [], { ...here, env: tokens }, { kind: 'local', binary, play: false }],
  [
    'a real workspace',
    ['--channel', 'deploys', '--people', 'U01,U02'],
    { ...here, env: tokens },
    { kind: 'workspace', channel: 'deploys', people: ['U01', 'U02'] },
  ],
])('%s', (_, args, machine, expected) => {
  expect(readOptions(args, machine)).toEqual(expected);
});

test.each([
  ['a machine without a local Slack', [], { ...here, platform: 'darwin', arch: 'arm64' }, /darwin arm64.*--channel/s],
  ['a workspace without tokens', ['--channel', 'deploys', '--people', 'U01'], here, /SLACK_BOT_TOKEN.*manifest/s],
  ['a channel without people', ['--channel', 'deploys'], { ...here, env: tokens }, /belong together/],
  ['a name for an id', ['--channel', 'deploys', '--people', 'ana'], { ...here, env: tokens }, /"ana" is no member id/],
  ['playing before real people', ['--play', '--channel', 'deploys'], { ...here, env: tokens }, /local Slack only/],
  ['a word it does not know', ['--paly'], here, /--paly.*npm run demo -- --play/s],
])('refuses %s, and says what to do', (_, args, machine, words) => {
  expect(readOptions(args, machine)).toEqual({ kind: 'refused', text: expect.stringMatching(words) });
});

test.each([
  ['the local Slack', ['U0ANA'], ['U0BO', 'U0CY'], { tables: false, tests: true }, true],
  ['one person alone', ['U01'], ['U01'], { tables: true, tests: false }, false],
])('the configuration for %s is valid', (_, deploy, approve, more, fourEyes) => {
  const prometheus = 'http://127.0.0.1:9090';
  const text = demoConfiguration({ env: 'demo', channel: 'deploys', prometheus, deploy, approve, ...more });
  const result = parseConfig(parse(text));
  expect(result.ok ? result.config.services.world?.access.fourEyes : result.errors).toBe(fourEyes);
});

test('a channel as text: threads below their message, buttons in brackets', () => {
  const button = { type: 'button', action_id: 'abort', text: { type: 'plain_text', text: 'Abort' } };
  const messages = [
    {
      ts: '1',
      user: 'U1',
      text: 'fallback',
      blocks: [{ type: 'section', text: { type: 'mrkdwn', text: '*Gate 1*' } }],
    },
    { ts: '2', user: 'U1', text: 'only you', ephemeral_to: 'U2' },
    { ts: '3', user: 'U1', text: 'x', thread_ts: '1', blocks: [{ type: 'actions', elements: [button] }] },
    { ts: '4', user: 'U2', text: '<@U1> status &lt;now&gt;', thread_ts: '1' },
  ];
  const names = new Map([
    ['U1', 'sluice'],
    ['U2', 'ana'],
  ]);
  expect(transcript(messages, (user) => names.get(user) ?? user).split('\n')).toEqual([
    'sluice',
    '  Gate 1',
    '',
    '    │ sluice',
    '    │   [Abort]',
    '',
    '    │ ana',
    '    │   @sluice status <now>',
    '',
    'sluice (only @ana sees this)',
    '  only you',
  ]);
});

const hasLocalSlack = existsSync('node_modules/local-slack-linux-x64/bin/local-slack');

test.runIf(hasLocalSlack)(
  'starts, starts a killed bot again, and leaves nothing behind',
  { timeout: 60_000 },
  async () => {
    const child = spawn(process.execPath, ['playground/demo.ts'], { stdio: ['ignore', 'pipe', 'inherit'] });
    onTestFinished(() => void child.kill('SIGKILL'));
    let output = '';
    const said = (words: RegExp) =>
      new Promise<string>((resolve) => {
        const look = () => {
          const [, found] = words.exec(output) ?? [];
          if (found === undefined) return;
          child.stdout.off('data', look);
          resolve(found);
        };
        child.stdout.on('data', look);
        look();
      });
    child.stdout.on('data', (chunk) => {
      output += String(chunk);
    });

    const pid = Number(await said(/kill -9 (\d+)/));
    const page = await said(/Open {3}(http:\S+)/);
    const log = await said(/its log: (\S+)/);
    expect((await fetch(page)).status).toBe(200);
    process.kill(pid, 'SIGKILL');
    const next = Number(await said(/is back, process (\d+)/));
    expect(next).not.toBe(pid);

    child.kill('SIGINT');
    const [code] = await once(child, 'exit');
    expect(code).toBe(0);
    expect(() => process.kill(next, 0)).toThrow('ESRCH');
    await expect(fetch(page)).rejects.toThrow();
    expect(existsSync(dirname(log))).toBe(false);
  },
);
