/**
 * What keeps traffic safe, taken out one at a time: each removal must turn the suite red. A mutant is one textual change that
 * matches exactly once, so that this list cannot fall behind the code without being noticed.
 */
export type Mutant = {
  /** What is taken out. */
  readonly name: string;
  readonly file: string;
  readonly find: string;
  readonly put: string;
  /** Test files that must notice. */
  readonly tests: readonly string[];
};

const AT_THE_FENCE = ['test/adapters/kubernetes/fence.test.ts', 'test/adapters/kubernetes/meanwhile.test.ts'];
const AT_THE_ROUTE = [
  'test/adapters/traffic/object-intents.test.ts',
  'test/adapters/traffic/gateway-api.test.ts',
  'test/playground/router.test.ts',
];
const AT_THE_WORKLOAD = ['test/adapters/kubernetes/meanwhile.test.ts', 'test/playground/workload.test.ts'];
const AT_THE_BUTTONS = ['test/app/rights.test.ts', 'test/app/commands.test.ts'];
const INTERLEAVED = ['test/app/fenced.test.ts', 'test/app/interleavings.test.ts'];
const IN_THE_STORE = ['test/adapters/redis/model.test.ts', 'test/adapters/redis/store.test.ts'];
const IN_THE_CORE = ['test/core/decide.test.ts', 'test/core/schedule.test.ts', 'test/core/machine.test.ts'];
const AT_SLACK = ['test/adapters/slack/intake.test.ts', 'test/adapters/slack/fake-slack.test.ts'];

const SAVE = 'src/adapters/redis/save.lua';
const CREATE = 'src/adapters/redis/create.lua';
const ABORT = 'src/adapters/redis/abort.lua';
const FENCE = 'src/adapters/kubernetes/fence.ts';
const ROUTE = 'src/adapters/traffic/object-intents.ts';
const TWIN = 'src/adapters/kubernetes/twin-writes.ts';
const DECIDE = 'src/core/decide.ts';
const GATES = 'src/core/gates.ts';

export const MUTANTS: readonly Mutant[] = [
  // ---- the fence ----
  {
    name: 'the test operations of the marks',
    file: FENCE,
    find: 'const tests = readMarks(object) ? testMarks(object, tested) : asRead(object);',
    put: 'const tests: Op[] = [];',
    tests: [...AT_THE_FENCE, ...AT_THE_ROUTE],
  },
  {
    name: 'the test of what was read, in a claim',
    file: FENCE,
    find: 'return [...asRead(object), ...setMarks(object, { abort: null',
    put: 'return [...setMarks(object, { abort: null',
    tests: [...AT_THE_FENCE, ...AT_THE_ROUTE, ...AT_THE_WORKLOAD],
  },
  {
    name: 'the test of the replaced value: rules of the route',
    file: 'src/adapters/traffic/gateway-api.ts',
    find: "          test('/spec/rules', rulesOf(object)),\n",
    put: '',
    tests: AT_THE_ROUTE,
  },
  {
    name: 'the test of the replaced value: template of stable',
    file: TWIN,
    find: "test('/spec/template', template), replace('/spec/template', next)",
    put: "replace('/spec/template', next)",
    tests: AT_THE_WORKLOAD,
  },
  {
    name: 'the test of the replaced value: size of the canary',
    file: TWIN,
    find: "test('/spec/replicas', object.spec.replicas), replace(",
    put: 'replace(',
    tests: AT_THE_WORKLOAD,
  },
  {
    name: 'the test of whose backends an abort replaces',
    file: 'src/adapters/traffic/gateway-rules.ts',
    find: "...(rule.backendRefs ?? []).map((ref, n) => test(at('backendRefs', n, 'name'), ref.name)),",
    put: '',
    tests: ['test/adapters/traffic/gateway-rules.test.ts', ...AT_THE_ROUTE],
  },
  {
    name: 'the seq compare of a reset that is no abort',
    file: ROUTE,
    find: "const tested = abort ? (['rollout', 'epoch'] as const) : (['rollout', 'epoch', 'seq'] as const);",
    put: "const tested = ['rollout', 'epoch'] as const;",
    tests: AT_THE_ROUTE,
  },
  {
    name: 'the epoch compare of a write',
    file: FENCE,
    find: "if (rollout !== fence.rollout || epoch > fence.epoch || phase === 'done')",
    put: "if (rollout !== fence.rollout || phase === 'done')",
    tests: [...AT_THE_FENCE, ...AT_THE_ROUTE],
  },
  {
    name: 'the seq compare of a write',
    file: FENCE,
    find: "  if (seq > fence.seq) return { kind: 'fenced', by: marks };\n",
    put: '',
    tests: [...AT_THE_FENCE, ...AT_THE_ROUTE],
  },
  {
    name: 'the epoch compare of an abort',
    file: FENCE,
    find: 'if (marks.epoch > fence.epoch || (!ours && marks.epoch === fence.epoch))',
    put: 'if (!ours && marks.epoch === fence.epoch)',
    tests: [...AT_THE_FENCE, ...AT_THE_ROUTE],
  },
  {
    name: 'marks that are gone count as a foreign edit',
    file: ROUTE,
    find: "if (met === 'unmarked' && !overwrite) return drifted(marksLost(subject));",
    put: '',
    tests: AT_THE_ROUTE,
  },
  {
    name: 'the raised epoch on the Deployments',
    file: TWIN,
    find: "  if (marks?.rollout === by.rollout && marks.epoch === by.epoch) return DONE;\n  return { ops: underFence(object, by, {}, ['rollout', 'epoch']) };\n}\n\nexport function intendScale",
    put: '  return DONE;\n}\n\nexport function intendScale',
    tests: AT_THE_WORKLOAD,
  },
  {
    name: 'the raised epoch where the template is still the old one',
    file: TWIN,
    find: 'if (restored && marks?.rollout === by.rollout && marks.epoch === by.epoch) return DONE;',
    put: 'if (restored) return DONE;',
    tests: AT_THE_WORKLOAD,
  },
  {
    name: 'the preconditions of a deletion',
    file: 'src/adapters/kubernetes/api.ts',
    find: ', preconditions: { uid, resourceVersion } };',
    put: ' };',
    tests: ['test/adapters/kubernetes/cluster.test.ts', ...AT_THE_WORKLOAD],
  },
  {
    name: 'the escape of a JSON Pointer',
    file: 'src/adapters/kubernetes/marks.ts',
    find: ".replaceAll('~', '~0').replaceAll('/', '~1')",
    put: '',
    tests: ['test/adapters/kubernetes/marks.test.ts', ...AT_THE_FENCE],
  },
  {
    name: 'the claim stays while the route still sends to the canary',
    file: ROUTE,
    find: '      if (!dialect.isRestored(object)) return refused(stillRouted);\n',
    put: '',
    tests: AT_THE_ROUTE,
  },
  {
    name: 'a canary that was made too late is taken away',
    file: 'src/adapters/kubernetes/twin.ts',
    find: 'const late = created.length > 0 ? await lateFor(target, fence, created) : null;',
    put: 'const late = null;',
    tests: AT_THE_WORKLOAD,
  },
  {
    name: 'the canary never shrinks while it is routed',
    file: TWIN,
    find: '  if (object.spec.replicas >= replicas) return DONE;\n',
    put: '',
    tests: AT_THE_WORKLOAD,
  },
  {
    name: 'Ready counts only what the controller has taken up',
    file: 'src/adapters/kubernetes/twin-state.ts',
    find: 'if (observedGeneration < (metadata.generation ?? 0)) return',
    put: 'if (false) return',
    tests: ['test/adapters/kubernetes/twin-state.test.ts'],
  },
  {
    name: 'Ready is as many pods as the weight needs',
    file: 'src/adapters/kubernetes/twin-state.ts',
    find: ' && availableReplicas >= spec.replicas;',
    put: ';',
    tests: ['test/adapters/kubernetes/twin-state.test.ts'],
  },

  // ---- one transition ----
  {
    name: 'the version compare',
    file: SAVE,
    find: "if kept[1] ~= ARGV[2] then return { 'version' } end\n",
    put: '',
    tests: IN_THE_STORE,
  },
  {
    name: 'the epoch compare',
    file: SAVE,
    find: "if kept[2] ~= ARGV[3] then return { 'epoch' } end\n",
    put: '',
    tests: IN_THE_STORE,
  },
  {
    name: 'the compare of the last event',
    file: SAVE,
    find: "if kept[3] ~= ARGV[4] then return { 'head' } end\n",
    put: '',
    tests: IN_THE_STORE,
  },
  {
    name: 'a recorded abort comes before everything else',
    file: SAVE,
    find: "if kept[4] and not aborts then return { 'abort' } end\n",
    put: '',
    tests: IN_THE_STORE,
  },
  {
    name: 'what was loaded long ago is refused',
    file: SAVE,
    find: "if not aborts and now[1] * 1000 + now[2] / 1000 - ARGV[5] > tonumber(ARGV[16]) then return { 'stale' } end\n",
    put: '',
    tests: IN_THE_STORE,
  },
  {
    name: 'the epoch never falls',
    file: SAVE,
    find: "if tonumber(ARGV[8]) < tonumber(ARGV[3]) then return { 'lower epoch' } end\n",
    put: '',
    tests: IN_THE_STORE,
  },
  {
    name: 'one press counts once',
    file: SAVE,
    find: "if ARGV[14] ~= '' and #redis.call('XRANGE', inbox, ARGV[14], ARGV[14]) == 0 then return { 'gone' } end\n",
    put: '',
    tests: IN_THE_STORE,
  },
  {
    name: 'who was too late for a press says nothing',
    file: 'src/app/handle.ts',
    find: 'rejection: done ? null : decided.rejection,',
    put: 'rejection: decided.rejection,',
    tests: INTERLEAVED,
  },
  {
    name: 'one command starts one rollout',
    file: CREATE,
    find: "if ARGV[12] ~= '' and #redis.call('XRANGE', inbox, ARGV[12], ARGV[12]) == 0 then return { 'gone', ARGV[12] } end\n",
    put: '',
    tests: IN_THE_STORE,
  },
  {
    name: 'the lock: one rollout per service',
    file: CREATE,
    find: "if phase and phase ~= 'succeeded' and phase ~= 'aborted' then return { 'busy', holder } end",
    put: '',
    tests: IN_THE_STORE,
  },
  {
    name: 'an epoch is never used twice',
    file: CREATE,
    find: "if tonumber(known) >= tonumber(ARGV[3]) then return { 'epoch', known } end\n",
    put: '',
    tests: IN_THE_STORE,
  },
  {
    name: 'the raised epoch of a recorded abort',
    file: ABORT,
    find: 'math.max(known, tonumber(kept[4])) + 1',
    put: 'math.max(known, tonumber(kept[4]))',
    tests: IN_THE_STORE,
  },
  {
    name: 'an abort is recorded once',
    file: ABORT,
    find: "kept[2] == '1' and not kept[3] then",
    put: "kept[2] == '1' then",
    tests: IN_THE_STORE,
  },
  {
    name: 'what is promoted is not aborted',
    file: ABORT,
    find: "kept[1] == ARGV[1] and kept[2] == '1' and",
    put: 'kept[1] == ARGV[1] and',
    tests: IN_THE_STORE,
  },
  {
    name: 'a replayed request is refused',
    file: 'src/adapters/redis/take.lua',
    find: "if redis.call('EXISTS', KEYS[1]) == 1 then return false end\n",
    put: '',
    tests: IN_THE_STORE,
  },
  {
    name: 'each event links to the one before',
    file: 'src/adapters/redis/chain.ts',
    find: 'const parts = [before, version, at,',
    put: 'const parts = [version, at,',
    tests: IN_THE_STORE,
  },
  {
    name: 'the order of the outbox',
    file: SAVE,
    find: "redis.call('XADD', outbox, ARGV[7] .. '-' .. n, 'key'",
    put: "redis.call('XADD', outbox, ARGV[7] .. '-' .. (messages + 1 - n), 'key'",
    tests: IN_THE_STORE,
  },
  {
    name: 'nothing is posted before the message it hangs on',
    file: 'src/app/outbox.ts',
    find: "    if (!hasRoot) return key === 'root';\n",
    put: '',
    tests: ['test/app/outbox.test.ts'],
  },
  {
    name: 'a post whose outcome is unknown is looked for',
    file: 'src/app/outbox.ts',
    find: 'return first ? null : chat.find(rollout, key);',
    put: 'return null;',
    tests: ['test/app/outbox.test.ts'],
  },

  // ---- the decision ----
  {
    name: 'late answers are refused',
    file: DECIDE,
    find: "  if ('seq' in event && event.seq !== rollout.seq) return no({ kind: 'stale' });\n",
    put: '',
    tests: IN_THE_CORE,
  },
  {
    name: 'what has ended stays so',
    file: DECIDE,
    find: "  if (isTerminal(rollout) && event.type !== 'message_delivered') return no({ kind: 'ended' });\n",
    put: '',
    tests: IN_THE_CORE,
  },
  {
    name: 'the raised epoch of an abort by itself',
    file: 'src/core/change.ts',
    find: 'now: number, epoch = rollout.epoch + 1): Change',
    put: 'now: number, epoch = rollout.epoch): Change',
    tests: IN_THE_CORE,
  },
  {
    name: 'Ready before the weight is raised',
    file: DECIDE,
    find: "      return to({ ...phase, stage: 'ready', since: now }, {}, []);",
    put: "      return to({ ...phase, stage: 'route', since: now }, {}, []);",
    tests: IN_THE_CORE,
  },
  {
    name: 'nothing moves before the first message was delivered',
    file: DECIDE,
    find: 'return rollout.messages.root === undefined\n',
    put: 'return false\n',
    tests: IN_THE_CORE,
  },
  {
    name: 'the gate id compare',
    file: GATES,
    find: 'if (gate?.id === id && gate.kind === kind) return then(gate);',
    put: 'if (gate?.kind === kind) return then(gate);',
    tests: IN_THE_CORE,
  },
  {
    name: 'four eyes',
    file: GATES,
    find: "  const { access, requester } = rollout.plan;\n  if (access.fourEyes && samePerson(actor, requester)) return refuse({ kind: 'four eyes' });\n  const before",
    put: '  const before',
    tests: IN_THE_CORE,
  },
  {
    name: 'four eyes, where a weight set by hand is accepted',
    file: GATES,
    find: "  if (access.fourEyes && samePerson(actor, requester)) return refuse({ kind: 'four eyes' });\n  // What is promoted",
    put: '  // What is promoted',
    tests: IN_THE_CORE,
  },
  {
    name: 'a quorum is of distinct people',
    file: GATES,
    find: "  if (before) return refuse({ kind: 'already approved', at: before.at });\n",
    put: '',
    tests: IN_THE_CORE,
  },
  {
    name: 'the quorum',
    file: GATES,
    find: 'if (approved.approvals.length < gate.plan.approvals) return',
    put: 'if (approved.approvals.length < 1) return',
    tests: IN_THE_CORE,
  },
  {
    name: 'a reason where evidence is missing',
    file: GATES,
    find: "  if (!looksGood(gate) && !reason?.trim()) return refuse({ kind: 'needs reason' });\n",
    put: '',
    tests: IN_THE_CORE,
  },
  {
    name: 'the limit of Hold',
    file: DECIDE,
    find: "        if (gate.heldMs + HOLD_MS > HOLD_LIMIT_MS) return refuse({ kind: 'hold limit' });\n",
    put: '',
    tests: IN_THE_CORE,
  },
  {
    name: 'Hold moves the deadline',
    file: DECIDE,
    find: "if (gate.plan.onTimeout !== 'abort' || now < (gateDeadline(gate) ?? Number.POSITIVE_INFINITY)) return STALE;",
    put: "if (gate.plan.onTimeout !== 'abort') return STALE;",
    tests: IN_THE_CORE,
  },
  {
    name: 'no data is never success: a value that is missing',
    file: 'src/core/analysis.ts',
    find: "  if (!('value' in measured.canary) || !Number.isFinite(measured.canary.value)) return 'no data';\n",
    put: "  if (!('value' in measured.canary)) return 'pass';\n",
    tests: ['test/core/analysis.test.ts'],
  },
  {
    name: 'no data is never success: too few requests',
    file: 'src/core/analysis.ts',
    find: "  if (measured.requests !== null && !(measured.requests.canary >= check.minRequests)) return 'no data';\n",
    put: '',
    tests: ['test/core/analysis.test.ts'],
  },
  {
    name: 'no data is never success: it does not reset the count',
    file: 'src/core/analysis.ts',
    find: "    else if (verdict === 'pass') delete counted[check];",
    put: '    else delete counted[check];',
    tests: ['test/core/analysis.test.ts'],
  },
  {
    name: 'no data is never success: it lets no step go on',
    file: 'src/core/evidence.ts',
    find: "(weighed?.last ?? []).every((r) => r.verdict === 'pass')",
    put: "(weighed?.last ?? []).every((r) => r.verdict !== 'fail')",
    tests: IN_THE_CORE,
  },
  {
    name: 'no data is never success: a check that was not answered',
    file: 'src/core/evidence.ts',
    find: "return { check, canary: missing, stable: missing, requests: null, verdict: 'no data' };",
    put: "return { check, canary: missing, stable: missing, requests: null, verdict: 'pass' };",
    tests: IN_THE_CORE,
  },
  {
    name: 'no data is never success: Approve wants a reason',
    file: 'src/core/rollout.ts',
    find: "gate.results.every((result) => result.verdict === 'pass')",
    put: "gate.results.every((result) => result.verdict !== 'fail')",
    tests: IN_THE_CORE,
  },
  {
    name: 'one window counts once, though two replicas measured it',
    file: 'src/core/evidence.ts',
    find: 'results.filter(({ check }) => (guard.next[check] ?? Number.POSITIVE_INFINITY) <= now)',
    put: 'results',
    tests: IN_THE_CORE,
  },

  // ---- who and what comes in ----
  {
    name: 'denied by default',
    file: 'src/core/policy.ts',
    find: "{ kind: 'denied', groups: ids };",
    put: "{ kind: 'allowed' };",
    tests: ['test/core/policy.test.ts'],
  },
  {
    name: 'membership that is not known denies',
    file: 'src/core/policy.ts',
    find: "return unknown.length > 0 ? { kind: 'unknown', groups: unknown }",
    put: "return unknown.length > 0 ? { kind: 'allowed' }",
    tests: ['test/core/policy.test.ts'],
  },
  {
    name: 'membership is fresh',
    file: 'src/core/policy.ts',
    find: 'if (!members || now - members.atMs > maxAgeMs) unknown.push(group);',
    put: 'if (!members) unknown.push(group);',
    tests: ['test/core/policy.test.ts'],
  },
  {
    name: 'the signature check',
    file: 'src/adapters/slack/app.ts',
    find: 'return new HTTPReceiver({ signingSecret, logger });',
    put: 'return new HTTPReceiver({ signingSecret, logger, signatureVerification: false });',
    tests: AT_SLACK,
  },
  {
    name: 'the signature check, where the time is wrong',
    file: 'src/adapters/slack/http.ts',
    find: '    if (!isSlacks) return end(response, 401);\n',
    put: '',
    tests: AT_SLACK,
  },
  {
    name: 'requests from the past and the future are refused',
    file: 'src/adapters/slack/http.ts',
    find: 'const isFresh = Math.abs(Date.now() - timestamp * 1000) <= SKEW_MS;',
    put: 'const isFresh = true;',
    tests: AT_SLACK,
  },
  {
    name: 'people of other workspaces may nothing',
    file: 'src/adapters/slack/intake.ts',
    find: "return isOwn ? null : say({ kind: 'not a member' });",
    put: 'return null;',
    tests: AT_SLACK,
  },
  {
    name: 'guests and strangers may nothing',
    file: 'src/app/commands.ts',
    find: "    if (!(await isMember(request))) return { kind: 'not a member' };\n",
    put: '',
    tests: AT_THE_BUTTONS,
  },
  {
    name: 'the look at rights when a button is pressed',
    file: 'src/app/commands.ts',
    find: '    const refused = await refusal(request, verb, rollout);\n    if (refused) return refused;\n',
    put: '',
    tests: AT_THE_BUTTONS,
  },
  {
    name: 'a request that was left over too long is not acted on',
    file: 'src/app/sweep.ts',
    find: 'const said = age > EXPIRED_MS ? deps.commands.expire(taken) : deps.commands.answer(request, taken);',
    put: 'const said = deps.commands.answer(request, taken);',
    tests: ['test/app/sweep.test.ts'],
  },
  {
    name: 'an abort that was left over does not mean a later rollout',
    file: 'src/app/commands.ts',
    find: "    if (loaded && taken && loaded.rollout.requestedAt > timeOf(taken)) return { kind: 'no rollout', given: target };\n",
    put: '',
    tests: ['test/app/commands.test.ts'],
  },
  {
    name: 'an entry of the inbox is worked on once',
    file: 'src/app/commands.ts',
    find: '      if (!(await store.isWaiting(service, id))) return null;\n',
    put: '',
    tests: ['test/app/commands.test.ts'],
  },
  {
    name: 'a version is never latest',
    file: 'src/core/config.ts',
    find: "version.length <= 128 && version !== 'latest' && ",
    put: '',
    tests: ['test/core/config.test.ts'],
  },
  {
    name: 'what was told to have no effect has none',
    file: 'src/app/bot.ts',
    find: "      void insist('take a request back', () => store.untake(service, request.key));\n",
    put: '',
    tests: ['test/app/bot.test.ts'],
  },
  {
    name: 'the escape of mrkdwn',
    file: 'src/adapters/slack/mrkdwn.ts',
    find: 'return text.replace(/[&<>]/g, (found) => ESCAPES[found] ?? found);',
    put: 'return text;',
    tests: ['test/adapters/slack/messages.test.ts', 'test/adapters/slack/answers.test.ts'],
  },
  {
    name: 'the escape of PromQL',
    file: 'src/adapters/prometheus/queries.ts',
    find: String.raw`(text: string) => text.replace(/[\\"]/g, '\\$&').replaceAll('\n', '\\n');`,
    put: '(text: string) => text;',
    tests: ['test/adapters/prometheus/queries.test.ts'],
  },
  {
    name: 'the escape of a regular expression in PromQL',
    file: 'src/adapters/prometheus/queries.ts',
    find: ".replaceAll('.', '[.]')",
    put: '',
    tests: ['test/adapters/prometheus/metrics.test.ts'],
  },
  {
    name: 'secrets stay out of the log',
    file: 'src/log.ts',
    find: 'to.write(maskSecrets(line))',
    put: 'to.write(line)',
    tests: ['test/log.test.ts'],
  },
  {
    name: 'answers go to Slack only',
    file: 'src/adapters/slack/tell.ts',
    find: "url.protocol === 'https:' && url.host === 'hooks.slack.com'",
    put: "url.protocol === 'https:'",
    tests: ['test/adapters/slack/chat.test.ts'],
  },

  // ---- going on, and giving back ----
  {
    name: 'a rollout that Redis lost is begun aborted',
    file: 'src/app/sweep.ts',
    find: 'const created = await store.create(begin(event, await store.now()), event, null, abort);',
    put: 'const created = await store.create(begin(event, await store.now()), event, null);',
    tests: ['test/app/sweep.test.ts'],
  },
  {
    name: 'the cluster that is ahead of Redis aborts the rollout',
    file: 'src/app/handle.ts',
    find: "    if (holder) return { kind: 'fenced', by: holder };\n",
    put: '',
    tests: INTERLEAVED,
  },
  {
    name: 'an abort that was recorded is taken in before anything is done',
    file: 'src/app/handle.ts',
    find: '      const absorbed = await absorbAbort(found);\n',
    put: '      const absorbed = null;\n',
    tests: INTERLEAVED,
  },
  {
    name: 'the canary stays until the route has left it',
    file: 'src/app/ending.ts',
    find: "if (rollout.confirmed && (await router.confirmed(target)).kind === 'pending') {",
    put: 'if (false) {',
    tests: INTERLEAVED,
  },
];
