import { afterEach, beforeEach, expect, it } from 'vitest';
import { createDeploy } from '../../src/app/deploy.ts';
import { createOverview } from '../../src/app/overview.ts';
import { createPeople } from '../../src/app/people.ts';
import type { TrafficRouter } from '../../src/app/ports/router.ts';
import type { Release, Store } from '../../src/app/ports/store.ts';
import type { Workload } from '../../src/app/ports/workload.ts';
import { recordingLog } from '../support/redis.ts';
import { configOf, listeningChat, only, openCorner, typed } from './support.ts';

let corner: ReturnType<typeof openCorner>;
beforeEach(() => {
  corner = openCorner();
});
afterEach(() => corner.close());

/** `v2!`: made live by a rollback. */
const released = (text: string): Release => {
  const version = text.replace('!', '');
  const release = { version, image: `buoyantio/world:${version}`, template: {}, rollout: 'r', at: 0 };
  return text === version ? release : { ...release, rolledBack: true };
};

const serving = (version: string) => ({ template: {}, image: `buoyantio/world:${version}`, cause: null });

/** `revision`: what the cluster still has as revision 3. */
function deployOn(live: string, history: readonly string[], revision: { version: string } | null = null) {
  const store: Store = { ...corner.store, releases: async () => history.map(released) };
  const log = recordingLog();
  const { chat } = listeningChat();
  const facts = { version: live, container: 'world', template: {}, progressDeadlineMs: 1, epoch: 0 };
  return createDeploy({
    ...{ config: configOf('test'), store, chat, log },
    people: createPeople({ store, chat, log, clock: () => performance.now() }),
    rollouts: { tick: async () => {} },
    routerOf: () =>
      only<TrafficRouter>({
        preflight: async () => ({ ok: true, facts: { objects: [], epoch: 0, several: [] }, warnings: [] }),
      }),
    workloadOf: () =>
      only<Workload>({
        preflight: async () => ({ ok: true, facts, warnings: [] }),
        stableTemplate: async () => serving(live),
        revisions: async () =>
          revision === null ? [] : [{ ...serving(revision.version), revision: 3, isLive: revision.version === live }],
      }),
    newId: (service) => `${service}-abcdef`,
    onMessages: () => {},
    remember: () => {},
  });
}

it.each<[string, string, readonly string[], string | null]>([
  ['the version before', 'v2', ['v2', 'v1'], 'v1'],
  ['the version before the one it was rolled back to, not the bad one', 'v2', ['v2!', 'v3', 'v2', 'v1'], 'v1'],
  ['further back with each rollback', 'v1', ['v1!', 'v2!', 'v3', 'v2', 'v1', 'v0'], 'v0'],
  ['the version that a rollback made live, after a new one', 'v4', ['v4', 'v2!', 'v3', 'v2', 'v1'], 'v2'],
  ['before that again', 'v2', ['v2!', 'v4', 'v2!', 'v3', 'v2', 'v1'], 'v1'],
  ['the version before a redeploy', 'v2', ['v2', 'v2', 'v1'], 'v1'],
  ['what Sluice last made live, when somebody changed it since', 'v9', ['v2', 'v1'], 'v2'],
  ['nothing rather than the bad one, when what was before is forgotten', 'v2', ['v2!', 'v3'], null],
])('a rollback goes to %s', async (_, live, history, version) => {
  const deploy = deployOn(live, history);
  const said = await deploy.rollBack(typed('rollback world'), { service: 'world', version: null, reason: null }, null);
  const found = said?.kind === 'started' ? said.rollout.plan.version : said?.kind;
  expect(found).toBe(version ?? 'nothing to roll back to');
});

it('the bad version comes back when it is asked for by name', async () => {
  const asked = { service: 'world', version: 'v3', reason: null };
  const said = await deployOn('v2', ['v2!', 'v3', 'v2', 'v1']).rollBack(typed('rollback world to v3'), asked, null);
  expect(said).toMatchObject({ kind: 'started', rollout: { plan: { version: 'v3', kind: 'rollback' } } });
});

it('an entry of the inbox that another replica worked on starts nothing and says nothing', async () => {
  const taken = { service: 'world', id: '1-1' };
  const asked = { service: 'world', version: null, reason: null };
  expect(await deployOn('v2', ['v2', 'v1']).rollBack(typed('rollback world'), asked, taken)).toBeNull();
  expect(await corner.store.holder('world')).toBeNull();
});

it.each<[string, string, readonly string[], string | null, string]>([
  ['a revision by its number', 'v2', ['v2', 'v1'], 'v0', 'v0'],
  ['nothing when that number is the live version', '3', ['3', '2'], '1', 'already live'],
  ['nothing when versions are numbers and none is that', '7', ['7', '6'], '1', 'nothing to roll back to'],
  ['nothing when the revision is live', 'v2', ['v2', 'v1'], 'v2', 'already live'],
])('`rollback world to 3` goes to %s', async (_, live, history, revision, expected) => {
  const deploy = deployOn(live, history, revision === null ? null : { version: revision });
  const asked = { service: 'world', version: '3', reason: null };
  const said = await deploy.rollBack(typed('rollback world to 3'), asked, null);
  expect(said?.kind === 'started' ? said.rollout.plan.version : said?.kind).toBe(expected);
});

it.each<[string, string, string, boolean]>([
  ['with the way back to them', 'v2', 'v1', true],
  ['without one where versions are numbers', '7', '6', false],
])('the history of a service without releases shows what the cluster has, %s', async (_, live, version, offered) => {
  const { chat } = listeningChat();
  const deploy = deployOn(live, [], { version });
  const overview = createOverview({ config: configOf('test'), store: corner.store, chat, deploy });
  expect(await overview.history('world')).toEqual({
    kind: 'history',
    service: 'world',
    live,
    releases: [],
    takes: [],
    revisions: [{ revision: 3, version, cause: null, isLive: false }],
    takesRevisions: offered,
  });
});
