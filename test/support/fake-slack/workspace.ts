/** The people, groups and channels of the fake Slack, and the messages in it. Tests change them as they need. */

export const TEAM = 'T-ACME';
export const BOT = 'U0SLUICE';
export const INSTALLATION = { app_id: 'A0SLUICE', enterprise_id: 'E0ACME' };

export type Person = {
  readonly id: string;
  readonly name: string;
  team: string;
  deleted: boolean;
  guest: boolean;
  /** A program, or a person of another organisation in a shared channel. */
  kind?: 'bot' | 'stranger';
};

export type Channel = {
  readonly id: string;
  readonly name: string;
  members: string[];
  archived: boolean;
  isPrivate: boolean;
  /** Shared with another organisation. */
  isShared?: boolean;
};

export type Block = { readonly type: string; readonly [field: string]: unknown };
export type Version = { readonly text: string; readonly blocks: readonly Block[] };

export type Message = {
  readonly channel: string;
  readonly ts: string;
  /** Who wrote it: the bot, or a person. */
  readonly user: string;
  text: string;
  blocks: readonly Block[];
  /** The first message of its thread; null in the channel itself. */
  readonly thread: string | null;
  readonly broadcast: boolean;
  /** Only this person sees it. */
  readonly ephemeralTo: string | null;
  readonly metadata: unknown;
  readonly files: readonly {
    readonly id: string;
    readonly name: string;
    readonly alt: string;
    readonly bytes: number;
  }[];
  /** As it was at first, then after each edit. */
  versions: Version[];
  deleted: boolean;
};

const person = (name: string, guest = false): Person => ({
  id: `U0${name.toUpperCase()}`,
  name,
  team: TEAM,
  deleted: false,
  guest,
});

export type Name = 'ana' | 'bo' | 'cy' | 'dee' | 'eli';

/** ana asks, bo and cy approve, dee may nothing, eli is a guest; ana and bo are developers. */
export function createWorkspace() {
  const people: Record<Name, Person> = {
    ana: person('ana'),
    bo: person('bo'),
    cy: person('cy'),
    dee: person('dee'),
    eli: person('eli', true),
  };
  const everyone = Object.values(people).map(({ id }) => id);
  const groups: Record<string, string[]> = { S_DEVS: ['U0ANA', 'U0BO'], S_APPROVERS: ['U0BO', 'U0CY'] };
  const channel = (name: string, members: string[]): Channel => ({
    id: `C0${name.toUpperCase()}`,
    name,
    members,
    archived: false,
    isPrivate: false,
  });
  const channels: Channel[] = [
    channel('deploys', [...everyone, BOT]),
    channel('general', [...everyone, BOT]),
    channel('random', [...everyone]),
  ];
  const scopes = [
    ...['app_mentions:read', 'channels:read', 'chat:write', 'commands', 'files:write', 'groups:read', 'im:write'],
    ...['usergroups:read', 'users:read'],
  ];
  return { people, groups, channels, scopes, messages: [] as Message[] };
}

export type Workspace = ReturnType<typeof createWorkspace>;

export function personOf({ people }: Workspace, id: string): Person | undefined {
  return Object.values(people).find((one) => one.id === id);
}
