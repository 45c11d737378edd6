/**
 * Places where a test can stop the process: `SLUICE_FAILPOINT="before set route:SIGSTOP"`, with `#2` for the second hit
 * (`before set route#2:SIGKILL`). Off, and free, without the variable.
 */
import process from 'node:process';

export function createFailpoint(setting: string | undefined): (name: string) => void {
  const match = /^(?<name>[^:#]+)(?:#(?<hit>\d+))?:(?<signal>SIG[A-Z]+)$/.exec(setting ?? '');
  if (!match?.groups) return () => undefined;
  const { name, signal } = match.groups;
  let left = Number(match.groups.hit ?? 1);
  return (reached) => {
    if (reached === name && --left === 0) process.kill(process.pid, signal as NodeJS.Signals);
  };
}
