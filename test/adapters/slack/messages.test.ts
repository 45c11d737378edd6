import { describe, expect, it } from 'vitest';
import type { Show } from '../../../src/adapters/slack/block-kit.ts';
import { render, simplest } from '../../../src/adapters/slack/message.ts';
import { checkMessage } from '../../support/fake-slack/limits.ts';
import { buttonsOf, hurts, wordsOf } from '../../support/fake-slack/reading.ts';
import type { Block } from '../../support/fake-slack/workspace.ts';
import { HOSTILE, SAID, type Said } from './states.ts';
import { T0, waiting } from './support.ts';

const SHOW: Show = { now: T0 + 180_000, tables: true, gateLink: 'https://acme.example/archives/C0DEPLOYS/p17' };

function draw({ rollout, key, note }: Said, show: Partial<Show> = {}) {
  const message = render(rollout, { key, ...(note ? { note } : {}) }, { ...SHOW, ...show });
  if (!message) throw new Error(`nothing is said under ${key}`);
  // As it arrives at Slack.
  const blocks: Block[] = JSON.parse(JSON.stringify(message.blocks));
  return { text: message.text, blocks, broadcast: message.broadcast ?? false, simplest: simplest(message) };
}

const nameOf = ({ when, key }: Said) => `${key}, ${when}`;

it('reads well', async () => {
  const pages = SAID.map((said) => {
    const { text, blocks, broadcast } = draw(said);
    const buttons = buttonsOf(blocks).map((button) => `[${button.text.text}]`);
    const body = blocks.map((block) =>
      block.type === 'actions' ? buttons.join(' ') : `${block.type}| ${shown(block)}`,
    );
    return [`=== ${nameOf(said)}${broadcast ? ' (broadcast)' : ''}`, `text| ${text}`, ...body].join('\n');
  });
  await expect(`${pages.join('\n\n')}\n`).toMatchFileSnapshot('messages.txt');
});

function shown(block: Block): string {
  const rows = block.rows;
  if (!Array.isArray(rows)) return wordsOf(block).join('\n       | ');
  return rows.map((row) => wordsOf(row).join(' | ')).join('\n     | ');
}

describe.each([
  ['tables', { tables: true }],
  ['no tables', { tables: false }],
  ['no permalink', { gateLink: null }],
] as const)('every message with %s', (_, show) => {
  it.each([...SAID, ...HOSTILE].map((said) => [nameOf(said), said] as const))('%s is taken by Slack', (_, said) => {
    const { text, blocks, simplest } = draw(said, show);
    expect(checkMessage({ text, blocks }, 'update')).toBeNull();
    expect(hurts({ text, blocks })).toEqual([]);
    expect(checkMessage({ ...simplest }, 'update')).toBeNull();
  });
});

describe('hostile words', () => {
  it.each(HOSTILE.map((said) => [nameOf(said), said] as const))('%s keep the buttons and ping nobody', (_, said) => {
    const harmless = SAID.find(({ when, key }) => key === said.key && said.when.startsWith(`${when}, `));
    if (!harmless) throw new Error('no such state');
    const message = draw(said);
    // Hostile results are no passes: only the reason is asked for besides.
    const ids = (blocks: readonly Block[]) =>
      buttonsOf(blocks).map((button) => button.action_id.replace('_anyway', ''));
    expect(ids(message.blocks)).toEqual(ids(draw(harmless).blocks));
    // Cells of a table are literal text.
    const formatted = message.blocks.filter((block) => block.type !== 'table');
    const words = [message.text, ...wordsOf(formatted)].join('\n');
    expect(words).not.toMatch(/<!(channel|here|everyone)|<@U0BO>|<https:\/\/evil/);
    expect(words).not.toMatch(/[\u202A-\u202E\u2066-\u2069]/);
  });
});

describe('the root message', () => {
  it.each(SAID.filter(({ key }) => key === 'root').map((said) => [said.when, said] as const))(
    '%s has six blocks at most',
    (_, said) => {
      expect(draw(said).blocks.length).toBeLessThanOrEqual(6);
    },
  );
});

describe('the first 40 characters of the text', () => {
  it.each(SAID.map((said) => [nameOf(said), said] as const))('%s name the rollout', (_, said) => {
    expect(draw(said).text.slice(0, 40)).toMatch(/world v[12]|world is/);
  });
});

describe('who is pinged', () => {
  it.each(SAID.map((said) => [nameOf(said), said] as const))('%s', (_, said) => {
    const pings = [
      ...wordsOf(draw(said).blocks)
        .join('\n')
        .matchAll(/<(?:@|!subteam\^)([A-Z0-9_]+)>/g),
    ].map(([, id]) => id);
    const isOpenGate = said.key.startsWith('gate:') && said.rollout.gates.at(-1)?.decision === null;
    const asked = said.rollout.phase.kind === 'halted' ? 'S_ONCALL' : 'S_APPROVERS';
    const calls = said.note?.kind === 'stalled' || said.note?.kind === 'disputed';
    const called = calls && said.rollout.plan.requester.kind === 'person' ? ['U0ANA'] : [];
    expect(pings).toEqual(isOpenGate ? [asked] : called);
  });
});

it('shows an unknown gate as nothing, so that it is dropped', () => {
  expect(render(waiting(), { key: 'gate:9' }, SHOW)).toBeNull();
});
