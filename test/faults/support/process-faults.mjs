// Loaded into a bot before anything else (`NODE_OPTIONS=--import`): a clock that is wrong, or jumps on SIGUSR2, and an event
// loop that stands still, or a fault that nobody catches, on SIGUSR2.
const shiftMs = Number(process.env.SHIFT_MS ?? 0);
const blockMs = Number(process.env.BLOCK_MS ?? 0);
const realNow = Date.now.bind(Date);
let jumped = process.env.SHIFT_AT !== 'SIGUSR2';

const now = () => realNow() + (jumped ? shiftMs : 0);
if (shiftMs !== 0) {
  globalThis.Date = new Proxy(Date, {
    construct: (target, given) => Reflect.construct(target, given.length === 0 ? [now()] : given),
    get: (target, name) => (name === 'now' ? now : Reflect.get(target, name)),
  });
}

process.on('SIGUSR2', () => {
  jumped = true;
  if (process.env.FAULT === 'throw') throw new Error('planted');
  if (process.env.FAULT === 'reject') void Promise.reject(new Error('planted'));
  if (blockMs > 0) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, blockMs);
});
