/** The same without Slack: `npm run sluice -- validate | plan | status | approve | abort | doctor`. */
import process from 'node:process';
import { reasonOf } from './app/outcome.ts';
import { run } from './cli/run.ts';

run(process.argv.slice(2)).then(
  (code) => process.exit(code),
  (error: unknown) => {
    process.stderr.write(`${reasonOf(error)}\n`);
    process.exit(1);
  },
);
