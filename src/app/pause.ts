/** Waits on the local clock: for retries, never for decisions. */
export const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
