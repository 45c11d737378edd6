/** Reads a text of Finagle's name grammar character by character; its errors are worded as Finagle words them. */

export type Parsed<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly error: string };

export type Reader = {
  /** The next character; empty at the end. */
  next(): string;
  take(): string;
  atEnd(): boolean;
  /** Takes the character if it comes next. */
  takes(character: string): boolean;
  expect(character: string): void;
  /** Takes characters while they match and `allowed` holds for all of them together. */
  while(pattern: RegExp, allowed: (text: string) => boolean, what: string): string;
  /** Blanks, line ends, and comments where a token may start. */
  space(): void;
  /** `saw`: what is told as found, when it is not the next character. */
  fail(what: string, saw?: string): never;
};

class Unreadable extends Error {}

/** Reads a whole text, space around it included. */
export function parser<T>(read: (reader: Reader) => T): (text: string) => Parsed<T> {
  return (text) => {
    const reader = createReader(text);
    try {
      reader.space();
      const value = read(reader);
      reader.space();
      if (!reader.atEnd()) reader.fail('end of input');
      return { ok: true, value };
    } catch (error) {
      if (!(error instanceof Unreadable)) throw error;
      return { ok: false, error: error.message };
    }
  };
}

function createReader(text: string): Reader {
  let at = 0;
  const next = () => text.charAt(at);
  const fail = (what: string, saw = next()): never => {
    const found = saw === '' ? 'end of input' : `'${saw}'`;
    throw new Unreadable(
      `${what} expected but ${found} found at '${text.slice(0, at)}[${next()}]${text.slice(at + 1)}'`,
    );
  };
  const take = () => text.charAt(at++);
  const takes = (character: string) => {
    const comes = next() === character;
    if (comes) at++;
    return comes;
  };
  return {
    next,
    take,
    takes,
    fail,
    atEnd: () => at >= text.length,
    expect: (character) => {
      if (!takes(character)) fail(`'${character}'`);
    },
    while: (pattern, allowed, what) => {
      let taken = '';
      while (next() !== '' && pattern.test(next())) {
        if (!allowed(taken + next())) fail(what);
        taken += take();
      }
      return taken;
    },
    space: () => {
      for (;;) {
        if (/[ \t\r\n]/.test(next())) at++;
        else if (next() === '#') at = text.indexOf('\n', at) < 0 ? text.length : text.indexOf('\n', at) + 1;
        else return;
      }
    },
  };
}
