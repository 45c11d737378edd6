/** The same without Slack: `npm run sluice -- validate | plan | status | approve | abort | audit | doctor`. */
import process from 'node:process';
import { reasonOf } from './app/outcome.ts';
import { run } from './cli/run.ts';
import { maskSecrets } from './log.ts';

run(process.argv.slice(2)).then(
  (code) => process.exit(code),
  (error: unknown) => {
    process.stderr.write(maskSecrets(`${reasonOf(error)}\n`));
    process.exit(1);
  },
);
