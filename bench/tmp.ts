import { createWorld } from '../test/e2e/support/world.ts';
import { startFakeSlack } from '../test/support/fake-slack/index.ts';
import { measureAbort } from './parts/abort.ts';
import { placeOf } from './parts/requests.ts';
import { table } from './report.ts';
const world = await createWorld(); const slack = await startFakeSlack();
console.log(table(await measureAbort({slack, redis: process.env.REDIS_URL ?? '', env: 'tmp'+Date.now(), place: placeOf(world, process.env.KUBECONFIG ?? '')})));
await slack.stop(); await world.remove();
