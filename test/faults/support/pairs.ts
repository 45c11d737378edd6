/** How the tests of every strategy on every traffic system are set. */
import type { Observer } from '../../chaos/observer.ts';
import type { Stage } from '../../scenarios/support/stage.ts';

/** No check: it is not measured, it is carried out. */
export const QUIET = { checks: [], coolDown: '1s' };

/** Shows what was seen when it fails. */
export async function whole(stage: Stage, observer: Observer, act: () => Promise<void>): Promise<void> {
  try {
    await act();
  } catch (error) {
    process.stderr.write(`${stage.slack.transcript()}\n${observer.show()}\n${stage.log()}\n`);
    throw error;
  }
}
