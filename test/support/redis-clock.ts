/** A Redis whose clock somebody sets: its server asks a small library for the time, which adds what stands in a file. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { withRedis } from './redis.ts';
import { startRedisServer } from './redis-server.ts';

/** Shared memory, since Redis asks for the time at each command. The monotonic clock stays what it is: nobody sets that one. */
const SHIFT = `
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
static volatile long *shift;
__attribute__((constructor)) static void open_shift(void) {
  shift = mmap(0, sizeof *shift, PROT_READ, MAP_SHARED, open(getenv("SHIFT_FILE"), O_RDONLY), 0);
}
int clock_gettime(clockid_t id, struct timespec *at) {
  static int (*real)(clockid_t, struct timespec *);
  if (!real) real = dlsym(RTLD_NEXT, "clock_gettime");
  int result = real(id, at);
  if (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE) at->tv_sec += *shift;
  return result;
}
int gettimeofday(struct timeval *restrict at, void *restrict zone) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  at->tv_sec = now.tv_sec;
  at->tv_usec = now.tv_nsec / 1000;
  return 0;
}
time_t time(time_t *at) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  if (at) *at = now.tv_sec;
  return now.tv_sec;
}
`;

/** Needs Linux and a C compiler. */
export const canSetClock =
  process.platform === 'linux' && spawnSync('cc', ['--version'], { timeout: 5_000 }).status === 0;

export async function startClockedRedis() {
  const folder = mkdtempSync(join(tmpdir(), 'sluice-test-clock-'));
  const [source, library, shift, server] = ['shift.c', 'shift.so', 'shift', 'server'].map((name) =>
    join(folder, name),
  ) as [string, string, string, string];
  const set = (seconds: number) => {
    const bytes = Buffer.alloc(8);
    bytes.writeBigInt64LE(BigInt(seconds));
    // In place: the server has this file mapped.
    writeFileSync(shift, bytes, { flag: 'r+' });
  };
  writeFileSync(source, SHIFT);
  writeFileSync(shift, Buffer.alloc(8));
  const built = spawnSync('cc', ['-shared', '-fPIC', '-O1', '-o', library, source, '-ldl'], { timeout: 30_000 });
  if (built.status !== 0) throw new Error(`cc: ${built.stderr}`);
  const real = process.env.SLUICE_REDIS_SERVER ?? 'redis-server';
  writeFileSync(server, `#!/bin/sh\nSHIFT_FILE='${shift}' LD_PRELOAD='${library}' exec '${real}' "$@"\n`, {
    mode: 0o755,
  });
  const redis = await startRedisServer({}, { folder, server });
  return {
    ...redis,
    /** From now on it is so many hours ahead of (or behind) the others. */
    async setClock(hours: number): Promise<void> {
      set(hours * 3_600);
      const now = await withRedis(redis.url, (client) => client.time());
      // Without an effect, as on a server that is linked statically, the tests would prove nothing.
      if (Math.abs(Number(now[0]) - Date.now() / 1_000 - hours * 3_600) > 60)
        throw new Error(`the clock of ${real} cannot be set`);
    },
  };
}
