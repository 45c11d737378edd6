/** What the terminal says when everything runs. */
import { HOST } from '../world.ts';

export type Scene = {
  /** Address of the local Slack's page; null: a real workspace. */
  readonly page: string | null;
  readonly channel: string;
  readonly proxyUrl: string;
  readonly perSecond: number;
  readonly pid: number;
  readonly log: string;
};

export function guide({ page, channel, proxyUrl, perSecond, pid, log }: Scene): string {
  const where = page
    ? `Open   ${page}
       You are ana. Choose another person at the top right, "Act as":
       ana deploys, bo and cy approve, dee may do neither.`
    : `Open   #${channel} in your workspace.`;
  return `
${where}

Type   /deploy world v2           into the box under #${channel}; then open the thread
       /deploy world v3-err20     a fifth of its answers fail: its checks take it back
       /deploy world v4-slow800   800 ms slower: the same
       /deploy world v5-missing   there is no such image: it does not start
       /deploy abort world        at any time, or the button; @sluice status in the thread

See    v2 before anybody else, while its first gate is open:
       curl -s -H 'Host: ${HOST}' -H 'x-canary: always' ${proxyUrl}/
       (users send ${perSecond} requests a second to the same address, without that header)

Break  kill -9 ${pid}${' '.repeat(Math.max(1, 20 - String(pid).length))}the bot, at any moment: it is started again and goes on
       (a button that is pressed meanwhile does nothing: press it again)
       its log: ${log}

Ctrl-C ends everything.
`;
}
