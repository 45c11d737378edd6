/**
 * People who click so often a second, whether the bot keeps up or not: a click is timed from when it was to come. A process of
 * its own, so that it takes no time from what is measured. Prints `{"times":[…],"failed":n}`.
 */
import { type Button, createPerson } from './person.ts';

const [url = '', signingSecret = '', button = '', perSecond = '0', seconds = '0', warmUp = '0'] = process.argv.slice(2);
const EVERY_MS = 5;
const CONNECTIONS = 50;
const pressed: Button = JSON.parse(button);
const people = Array.from({ length: CONNECTIONS }, () => createPerson('bo', signingSecret));
const times: number[] = [];
let failed = 0;
let clicks = 0;
const count = (Number(warmUp) + Number(seconds)) * Number(perSecond);
const begun = performance.now();

await new Promise<void>((resolve) => {
  let open = 0;
  const done = () => {
    open--;
    if (open === 0 && clicks >= count) resolve();
  };
  const timer = setInterval(() => {
    const due = Math.min(count, Math.floor(((performance.now() - begun) / 1_000) * Number(perSecond)));
    for (; clicks < due; clicks++) {
      const at = begun + (clicks / Number(perSecond)) * 1_000;
      const isMeasured = clicks >= Number(warmUp) * Number(perSecond);
      open++;
      people[clicks % CONNECTIONS]
        ?.clicks(url, pressed)
        .then(
          () => void (isMeasured && times.push(performance.now() - at)),
          () => void (isMeasured && failed++),
        )
        .finally(done);
    }
    if (clicks >= count) clearInterval(timer);
  }, EVERY_MS);
});
for (const person of people) person.leave();
process.stdout.write(`${JSON.stringify({ times, failed })}\n`);
