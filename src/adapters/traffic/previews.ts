/** A preview as a match on one header, which is how all who match requests can say it. */
import type { Preview } from '../../core/plan.ts';

export type HeaderMatch =
  | { readonly name: string; readonly exact: string }
  | { readonly name: string; readonly regex: string };

/** A cookie is one of the pairs of the header Cookie, wherever it stands there. */
export function matchOf(preview: Preview): HeaderMatch {
  if ('cookie' in preview) {
    const pair = `${literal(preview.cookie)}=${literal(preview.value)}`;
    return { name: 'Cookie', regex: `${BEFORE}${pair}${AFTER}` };
  }
  return 'pattern' in preview
    ? { name: preview.header, regex: preview.pattern }
    : { name: preview.header, exact: preview.value };
}

export function previewOf(match: HeaderMatch): Preview {
  if ('exact' in match) return { header: match.name, value: match.exact };
  const { name, regex } = match;
  const [cookie = '', ...value] = plain(regex.slice(BEFORE.length, -AFTER.length)).split('=');
  const found = { cookie, value: value.join('=') };
  const isCookie = name.toLowerCase() === 'cookie' && regex === regexOf(matchOf(found));
  return isCookie ? found : { header: name, pattern: regex };
}

const regexOf = (match: HeaderMatch) => ('regex' in match ? match.regex : '');

const BEFORE = '^(.*?;)?\\s*(';
const AFTER = ')(;.*)?$';

/** As RE2, PCRE and ECMAScript all read it. */
const literal = (text: string) => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
const plain = (pattern: string) => pattern.replace(/\\(.)/g, '$1');
