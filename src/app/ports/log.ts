/** Structured logging, as pino does it. */
export type Log = {
  child(fields: Record<string, unknown>): Log;
  debug(fields: Record<string, unknown>, message: string): void;
  info(fields: Record<string, unknown>, message: string): void;
  warn(fields: Record<string, unknown>, message: string): void;
  error(fields: Record<string, unknown>, message: string): void;
};
