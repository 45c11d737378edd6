import { describe, expect, it } from 'vitest';
import { readRedisUrl } from '../../../src/adapters/redis/address.ts';

describe('REDIS_URL', () => {
  it.each([
    ['redis://127.0.0.1:6379', { kind: 'server', place: '127.0.0.1:6379' }],
    ['rediss://user:secret@redis:6380/1', { kind: 'server', place: 'redis:6380' }],
    [
      'redis+cluster://h1:7000,h2',
      {
        kind: 'cluster',
        tls: false,
        nodes: [
          { host: 'h1', port: 7000 },
          { host: 'h2', port: 6379 },
        ],
        place: 'h1:7000, h2:6379',
      },
    ],
    [
      'rediss+cluster://bot:p%40ss@[::1]:7000',
      { tls: true, username: 'bot', password: 'p@ss', nodes: [{ host: '::1', port: 7000 }] },
    ],
    [
      'redis+sentinel://:secret@s1:26380,s2/mymaster/3?sentinelPassword=other',
      {
        kind: 'sentinel',
        username: undefined,
        password: 'secret',
        sentinels: [
          { host: 's1', port: 26380 },
          { host: 's2', port: 26379 },
        ],
        master: 'mymaster',
        db: 3,
        sentinelPassword: 'other',
        place: 'mymaster (by the Sentinels s1:26380, s2:26379)',
      },
    ],
  ])('%s is taken, and its secrets are not in its name', (url, address) => {
    const read = readRedisUrl(url);
    expect(read).toMatchObject({ ok: true, address });
    if (read.ok) expect(read.address.place).not.toMatch(/secret|ss@|other/);
  });

  it.each([
    ['', 'set it to the address of Redis, such as redis://127.0.0.1:6379'],
    ['http://redis', 'set it to the address of Redis, such as redis://127.0.0.1:6379'],
    ['redis://h1:1,h2:2', 'for several addresses use redis+cluster:// or redis+sentinel://'],
    ['redis+cluster://', 'as in redis+cluster://h1:6379,h2:6379'],
    ['redis+cluster://h1:70000', 'as in redis+cluster://h1:6379,h2:6379'],
    ['redis+cluster://h1,,h2', 'as in redis+cluster://h1:6379,h2:6379'],
    ['redis+cluster://h1/1', 'leave out the database: a Redis Cluster has only database 0'],
    ['redis+cluster://h1?family=6', 'leave out what follows "?"'],
    ['redis+cluster://sekret%@h1', 'as %XX'],
    ['redis+sentinel://s1,s2', 'as in redis+sentinel://h1:26379,h2:26379/mymaster'],
    ['redis+sentinel://s1/mymaster/one', 'write the database as a number'],
    ['redis+sentinel://s1/mymaster?password=sekret', 'sentinelUsername and sentinelPassword'],
  ])('"%s" is refused with the remedy, and never shown', (url, remedy) => {
    const read = readRedisUrl(url);
    expect(read).toMatchObject({ ok: false, problem: expect.stringContaining(remedy) });
    expect(JSON.stringify(read)).not.toContain('sekret');
  });
});
