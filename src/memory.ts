/** Keeps the process small: what it took once and will not need again goes back to the system. */
import v8 from 'node:v8';
import { runInNewContext } from 'node:vm';

/**
 * The engine's space for young objects stays at 2 MB. Left to itself it grows to 64 MB, for garbage: every minute the safety net
 * asks Redis for each active rollout. (Measured with ten thousand of them: 30 to 50 MB less.)
 */
export function keepYoungSpaceSmall(): void {
  v8.setFlagsFromString('--semi-space-growth-factor=1');
}

/**
 * Returns to the system what the start took. Left to itself the engine keeps a heap as large as it ever was: reading ten thousand services takes
 * 300 MB for a moment, importing the libraries 60 MB, reading ten thousand rollouts 50 MB. Nothing else runs for about 50 ms
 * meanwhile: for once or twice after a start.
 */
export function returnMemory(): void {
  // The engine's own collector is not reachable without this flag, which may be set at any time.
  v8.setFlagsFromString('--expose-gc');
  const collect: unknown = runInNewContext('gc');
  v8.setFlagsFromString('--no-expose-gc');
  if (typeof collect === 'function') collect({ type: 'major', flavor: 'last-resort' });
}
