import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { COMMANDS, type Command, type CommandError, parseCommand } from '../../src/core/command.ts';

const deploy = (over: Partial<Extract<Command, { kind: 'deploy' }>> = {}): Command => ({
  kind: 'deploy',
  service: 'world',
  version: 'v2',
  strategy: null,
  reason: null,
  dryRun: false,
  redeploy: false,
  ...over,
});

const understood = (text: string): Command => {
  const parsed = parseCommand(text);
  if (!parsed.ok) throw new Error(`not understood: ${JSON.stringify(parsed.error)}`);
  return parsed.command;
};

const refused = (text: string): CommandError => {
  const parsed = parseCommand(text);
  if (parsed.ok) throw new Error(`understood: ${JSON.stringify(parsed.command)}`);
  return parsed.error;
};

describe('what is understood', () => {
  const rows: readonly (readonly [text: string, Command])[] = [
    ['', { kind: 'help' }],
    ['   ', { kind: 'help' }],
    ['help', { kind: 'help' }],
    ['list', { kind: 'list' }],
    ['world v2', deploy()],
    ['world v2 canary', deploy({ strategy: 'canary' })],
    ['deploy world v2 canary', deploy({ strategy: 'canary' })],
    ['world v2 canary --dry-run', deploy({ strategy: 'canary', dryRun: true })],
    ['--redeploy world v2', deploy({ redeploy: true })],
    ['world v2 --reason login', deploy({ reason: 'login' })],
    ['world v2 --reason login --dry-run', deploy({ reason: 'login', dryRun: true })],
    ['world v2 --reason "fix login" canary', deploy({ reason: 'fix login', strategy: 'canary' })],
    ['world v2 --reason="fix login"', deploy({ reason: 'fix login' })],
    ["world v2 --reason 'fix login'", deploy({ reason: 'fix login' })],
    ["world v2 --reason 'don't ask'", deploy({ reason: "don't ask" })],
    ['world v2 --reason "--dry-run"', deploy({ reason: '--dry-run' })],
    ['-- status v2', deploy({ service: 'status' })],
    ['-- status v2 --dry-run', deploy({ service: 'status', dryRun: true })],
    ['"status" v2', deploy({ service: 'status' })],
    ['status', { kind: 'status', target: null }],
    ['status world', { kind: 'status', target: 'world' }],
    ['abort', { kind: 'abort', target: null, reason: null }],
    ['abort world', { kind: 'abort', target: 'world', reason: null }],
    ['abort world --reason "too slow"', { kind: 'abort', target: 'world', reason: 'too slow' }],
    ['rollback world', { kind: 'rollback', service: 'world', version: null, reason: null }],
    ['rollback world to v1', { kind: 'rollback', service: 'world', version: 'v1', reason: null }],
    ['rollback', { kind: 'rollback', service: null, version: null, reason: null }],
    ['rollback to v1', { kind: 'rollback', service: null, version: 'v1', reason: null }],
    ['rollback to to v1', { kind: 'rollback', service: 'to', version: 'v1', reason: null }],
    ['approve', { kind: 'approve', reason: null }],
    ['approve --reason "known flake"', { kind: 'approve', reason: 'known flake' }],
  ];
  it.each(rows)('/deploy %s', (text, command) => {
    expect(understood(text)).toEqual(command);
  });
});

describe('what keyboards and Slack make of it', () => {
  it.each([
    ['doubled, non-breaking and trailing spaces', ' world \u00a0 v2\u2003canary \n', deploy({ strategy: 'canary' })],
    ['a capital at the start of a command', 'Status world', { kind: 'status', target: 'world' }],
    ['curly quotes', 'world v2 --reason “fix login”', deploy({ reason: 'fix login' })],
    ['low and high quotes', 'world v2 --reason „fix login“', deploy({ reason: 'fix login' })],
    ['angle quotes', 'world v2 --reason «fix login»', deploy({ reason: 'fix login' })],
    ['mixed quotes', 'world v2 --reason "fix login”', deploy({ reason: 'fix login' })],
    ['curly single quotes', 'world v2 --reason ‘fix login’', deploy({ reason: 'fix login' })],
    ['quotes inside quotes', 'world v2 --reason "the “new” one"', deploy({ reason: 'the “new” one' })],
    ['a long dash for two short ones', 'world v2 —dry-run', deploy({ dryRun: true })],
    ['a long dash alone', '— status v2', deploy({ service: 'status' })],
    ['a line break in a reason', 'world v2 --reason "fix\n  login"', deploy({ reason: 'fix login' })],
    [
      'a version that looks like a link',
      'world <http://v2.example.com|v2.example.com>',
      deploy({ version: 'v2.example.com' }),
    ],
    ['a link in a reason', 'world v2 --reason <https://ci.example/7>', deploy({ reason: 'https://ci.example/7' })],
    ['escaped characters', 'world v2 --reason "a &lt; b &amp; c"', deploy({ reason: 'a < b & c' })],
    ['a zero-width space that was pasted', 'wor\u200bld v2', deploy()],
    ['half of a surrogate pair', 'world v2 --reason a\ud800', deploy({ reason: 'a\ufffd' })],
    ['mentions as they are: whoever shows them escapes them', 'world <!channel>', deploy({ version: '<!channel>' })],
    ['writing from right to left', 'world v2 --reason "תיקון באג"', deploy({ reason: 'תיקון באג' })],
  ] as const)('%s', (_, text, command) => {
    expect(understood(text)).toEqual(command);
  });
});

describe('what is refused', () => {
  const usage = (name: string) => COMMANDS.find((row) => row.name === name)?.usage ?? '';
  const flags = ['--reason', '--dry-run', '--redeploy'];
  const rows: readonly (readonly [text: string, CommandError])[] = [
    ['world', { kind: 'missing version', service: 'world', near: null, usage: usage('deploy') }],
    ['abrot', { kind: 'missing version', service: 'abrot', near: 'abort', usage: usage('deploy') }],
    ['--', { kind: 'missing service', usage: usage('deploy') }],
    ['--dry-run', { kind: 'missing service', usage: usage('deploy') }],
    ['world v2 canary now', { kind: 'extra word', given: 'now', near: null, usage: usage('deploy') }],
    ['world v2 canary dry-run', { kind: 'extra word', given: 'dry-run', near: '--dry-run', usage: usage('deploy') }],
    ['status world now', { kind: 'extra word', given: 'now', near: null, usage: usage('status') }],
    ['help me', { kind: 'extra word', given: 'me', near: null, usage: usage('help') }],
    ['abort world now', { kind: 'extra word', given: 'now', near: null, usage: usage('abort') }],
    ['rollback world v1', { kind: 'extra word', given: 'v1', near: 'to v1', usage: usage('rollback') }],
    ['rollback to v1 now', { kind: 'extra word', given: 'now', near: null, usage: usage('rollback') }],
    ['rollback world to v1 now', { kind: 'extra word', given: 'now', near: null, usage: usage('rollback') }],
    ['rollback world to', { kind: 'missing version', service: 'world', near: null, usage: usage('rollback') }],
    ['approve world', { kind: 'extra word', given: 'world', near: null, usage: usage('approve') }],
    ['world v2 --dryrun', { kind: 'unknown flag', given: '--dryrun', near: '--dry-run', known: flags }],
    ['world v2 --yes', { kind: 'unknown flag', given: '--yes', near: null, known: flags }],
    ['world v2 -r x', { kind: 'unknown flag', given: '-r', near: null, known: flags }],
    ['list --dry-run', { kind: 'unknown flag', given: '--dry-run', near: null, known: [] }],
    ['world v2 --dry-run --dry-run', { kind: 'duplicate flag', flag: '--dry-run' }],
    ['world v2 --reason a --reason b', { kind: 'duplicate flag', flag: '--reason' }],
    ['world v2 --dry-run=no', { kind: 'unexpected value', flag: '--dry-run', given: 'no' }],
    ['world v2 --reason', { kind: 'missing value', flag: '--reason' }],
    ['world v2 --reason --dry-run', { kind: 'missing value', flag: '--reason' }],
    ['world v2 --reason ""', { kind: 'missing value', flag: '--reason' }],
    ['world v2 --reason= canary', { kind: 'missing value', flag: '--reason' }],
    ['world v2 --reason fix login', { kind: 'unquoted value', flag: '--reason', given: 'login' }],
    ['world v2 --reason "fix login', { kind: 'unclosed quote', given: '"fix login' }],
    ['world v2\u0007', { kind: 'control character', code: 'U+0007' }],
    ['wor\u0000ld v2', { kind: 'control character', code: 'U+0000' }],
    ['world v2 --reason "\u202egnp.exe"', { kind: 'control character', code: 'U+202E' }],
  ];
  it.each(rows)('/deploy %j', (text, error) => {
    expect(refused(text)).toEqual(error);
  });
});

describe('whatever is typed', () => {
  const noise = fc.array(
    fc.oneof(
      fc.constantFrom(
        ...COMMANDS.map(({ name }) => name),
        '--reason',
        '--dry-run',
        '--',
        '—',
        '"',
        '“',
        '”',
        "'",
        '=',
        'to',
        '\n',
        '\u0007',
        '\u202e',
        '<',
        '|',
        '>',
      ),
      fc.string({ unit: 'binary', maxLength: 6 }),
    ),
    { maxLength: 12 },
  );

  it('is a command or an error, and a command holds no control character', () => {
    fc.assert(
      fc.property(noise, fc.constantFrom(' ', ''), (words, between) => {
        const parsed = parseCommand(words.join(between));
        if (!parsed.ok) return;
        const texts = Object.values(parsed.command).filter((value) => typeof value === 'string');
        for (const text of texts) expect(text).not.toMatch(/[\p{Cc}\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/u);
      }),
      { numRuns: 1000 },
    );
  });

  it('is answered at once, however long', () => {
    const started = performance.now();
    for (const text of ['<http://', '" ', '“', '--reason=', 'a ', '&lt;', '\u2014']) parseCommand(text.repeat(40_000));
    expect(performance.now() - started).toBeLessThan(5_000);
  });
});

describe('a command that is written down', () => {
  const names = new Set(COMMANDS.map(({ name }) => name));
  const word = fc.stringMatching(/^[a-z0-9][a-z0-9._-]{0,12}$/);
  const operand = word.filter((text) => !names.has(text));
  const reason = fc.option(
    fc.stringMatching(/^[a-zA-Z<&][a-zA-Z0-9 ,.!?'-]{0,30}[a-z.]$/).map((text) => text.replace(/ +/g, ' ')),
  );
  const quoted = (text: string | null) => (text === null ? '' : ` --reason "${text}"`);

  it('is read as it was meant', () => {
    fc.assert(
      fc.property(
        word,
        word,
        fc.option(word),
        reason,
        fc.boolean(),
        fc.boolean(),
        (service, version, strategy, why, dryRun, redeploy) => {
          const options = `${quoted(why)}${dryRun ? ' --dry-run' : ''}${redeploy ? ' --redeploy' : ''}`;
          const text = `-- ${service} ${version} ${strategy ?? ''}${options}`;
          expect(understood(text)).toEqual({
            kind: 'deploy',
            service,
            version,
            strategy,
            reason: why,
            dryRun,
            redeploy,
          });
        },
      ),
    );
  });

  it('says the same without -- where no command has the name', () => {
    fc.assert(
      fc.property(operand, word, (service, version) => {
        expect(understood(`${service} ${version}`)).toEqual(understood(`-- ${service} ${version}`));
      }),
    );
  });
});

describe('the table of commands', () => {
  it('has one line for each, and every usage begins with the name that is typed', () => {
    const usages = COMMANDS.map(({ name, usage }) => (name === 'deploy' ? name : usage.split(' ')[0]));
    expect(usages).toEqual(COMMANDS.map(({ name }) => name));
    expect(new Set(usages).size).toBe(COMMANDS.length);
  });
});
