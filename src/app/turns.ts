/** So much work at once, the rest in order of arrival: what nobody waits for must not keep the process from what somebody does. */
export function createTurns(atOnce: number): <T>(work: () => Promise<T>) => Promise<T> {
  const waiting: (() => void)[] = [];
  let running = 0;
  return async (work) => {
    if (running >= atOnce) await new Promise<void>((resolve) => waiting.push(resolve));
    else running++;
    try {
      return await work();
    } finally {
      const next = waiting.shift();
      // The place is handed on, or it would be free for who comes between.
      if (next) next();
      else running--;
    }
  };
}
