/** Hints only: losing any of them costs seconds. */
export type Queue = {
  wake(id: string): Promise<void>;
  wakeAt(id: string, at: number, now: number): Promise<void>;
  onTick(handler: (id: string) => Promise<void>): void;
  /** How many hints no replica has begun with. */
  backlog(): Promise<number>;
  /** Last time a tick was consumed, or none could come because Redis did not answer; ms of the monotonic clock: for liveness. */
  lastProgress(): number;
  close(): Promise<void>;
};
