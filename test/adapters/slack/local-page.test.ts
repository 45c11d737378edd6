import { expect, it } from 'vitest';
import { inWords } from '../../../src/adapters/slack/local-page.ts';
import { date, mention } from '../../../src/adapters/slack/mrkdwn.ts';
import { T0 } from './support.ts';

it('writes dates and groups as words, and leaves everything else', () => {
  const text = `until ${date(T0)}, ask ${mention('S_APPROVERS')} or ${mention('U0BO')}; <https://acme.example|open> &lt;!date^1^x|y&gt; fish &amp; chips`;
  expect(inWords({ text, blocks: [{ text }] })).toEqual({
    text: 'until 10:00 UTC, ask @S_APPROVERS or <@U0BO>; <https://acme.example|open> &lt;!date^1^x|y&gt; fish & chips',
    blocks: [
      {
        text: 'until 10:00 UTC, ask @S_APPROVERS or <@U0BO>; <https://acme.example|open> &lt;!date^1^x|y&gt; fish & chips',
      },
    ],
  });
});
