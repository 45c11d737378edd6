import { setTimeout as pause } from 'node:timers/promises';
import type { Log } from '../src/app/ports/log.ts';

export { pause };

const silent = () => undefined;
export const NO_LOG: Log = { child: () => NO_LOG, debug: silent, info: silent, warn: silent, error: silent };
