/** What was typed after `npm run demo --`, and what this machine can do with it. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

export type Options =
  /** `binary`: the local Slack. `play`: nobody presses anything, and the demo ends by itself. */
  | { readonly kind: 'local'; readonly binary: string; readonly play: boolean }
  | { readonly kind: 'workspace'; readonly channel: string; readonly people: readonly string[] }
  | { readonly kind: 'help'; readonly text: string }
  /** `text` says what to do instead. */
  | { readonly kind: 'refused'; readonly text: string };

export type Machine = {
  readonly platform: string;
  readonly arch: string;
  readonly root: string;
  readonly env: Readonly<Record<string, string | undefined>>;
};

const USAGE = `npm run demo                 Slack in the browser, a cluster with traffic, and Sluice between them
npm run demo -- --play       the same, played by itself: one rollout approved, one rolled back, one aborted
npm run demo -- --channel deploys --people U012AB3CD,U045EF6GH
                             in a real workspace instead; those people may deploy, approve and abort`;

const WORKSPACE_WAY = `  1. Make the app: https://api.slack.com/apps, Create New App, From a manifest: manifests/slack/socket-mode.yaml.
     Install it, and make an app-level token with connections:write.
  2. export SLACK_BOT_TOKEN=xoxb-… SLACK_APP_TOKEN=xapp-…
  3. /invite @sluice in a channel, say deploys
  4. npm run demo -- --channel deploys --people <your member id, from your Slack profile>`;

const PERSON = /^[UW][A-Z0-9]+$/;

export function readOptions(args: readonly string[], { platform, arch, root, env }: Machine): Options {
  const read = parse(args);
  if (typeof read === 'string') return refused(`${read}\n${USAGE}`);
  const { play = false, channel, people, help } = read;
  if (help) return { kind: 'help', text: USAGE };
  if (channel !== undefined || people !== undefined) {
    const ids = people?.split(',').filter((id) => id !== '') ?? [];
    const wrong = ids.find((id) => !PERSON.test(id));
    if (play) return refused('--play acts as people: it works on the local Slack only');
    if (!channel || ids.length === 0) return refused(`--channel and --people belong together\n${USAGE}`);
    if (wrong !== undefined) return refused(`--people: "${wrong}" is no member id; one looks like U012AB3CD`);
    if (!env.SLACK_BOT_TOKEN || !env.SLACK_APP_TOKEN) {
      return refused(`SLACK_BOT_TOKEN or SLACK_APP_TOKEN is not set. The way there:\n${WORKSPACE_WAY}`);
    }
    return { kind: 'workspace', channel, people: ids };
  }
  const binary = join(root, 'node_modules', `local-slack-${platform}-${arch}`, 'bin', 'local-slack');
  if (existsSync(binary)) return { kind: 'local', binary, play };
  return refused(
    `the local Slack runs on Linux x64 only, and this is ${platform} ${arch}. The demo works in a real workspace, too,\n` +
      `with the same simulated cluster:\n${WORKSPACE_WAY}`,
  );
}

function parse(args: readonly string[]) {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: {
        play: { type: 'boolean' },
        channel: { type: 'string' },
        people: { type: 'string' },
        help: { type: 'boolean', short: 'h' },
      },
    });
    return values;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

const refused = (text: string): Options => ({ kind: 'refused', text });
