import { test } from 'vitest';
import { openOffice } from '/work/main/test/cli/support.ts';
test('try', async () => {
  const o = await openOffice();
  const show = async (args: string[], more = {}) => { const t=Date.now(); const r = await o.sluice(args, more); console.log(`$ sluice ${args.join(' ')} ${JSON.stringify(more)} -> ${r.code} in ${Date.now()-t} ms\n${r.out}${r.err && '--- err\n'+r.err}`); };
  await show([]); await show(['doctor']);
  await show(['plan','world','v2']); await show(['plan','world','2']); await show(['plan','wrold','v2']); await show(['status']); await show(['stats']); await show(['plan', 'world']); await show(['plan','--help']); await show(['abort','world']); await show(['approve','world','--reson','x']);
  await show(['doctor'], {REDIS_URL: 'redis://127.0.0.1:1', SLACK_BOT_TOKEN: 'xoxb-wrong', KUBECONFIG: '/nowhere'});
  await show(['doctor'], {REDIS_URL: undefined, SLACK_APP_TOKEN: 'xapp-1'});
  await show(['status'], {REDIS_URL: 'redis://127.0.0.1:1'});
  await show(['status'], {KUBECONFIG: '/nowhere'});
  await o.close();
}, 60000);
