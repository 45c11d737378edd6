/** Regular expressions as the traffic systems write them; one that this machine cannot read matches nothing. */

/** The whole text must fit. `(?i)` at the start: whatever the case, as RE2 reads it. */
export function fitsWhole(pattern: string, text: string): boolean {
  return test(`^(?:${pattern.replace(/^\(\?i\)/, '')})$`, text, pattern.startsWith('(?i)') ? 'i' : '');
}

/** Some part of the text must fit. */
export function fitsPart(pattern: string, text: string): boolean {
  return test(pattern, text, '');
}

function test(pattern: string, text: string, flags: string): boolean {
  try {
    return new RegExp(pattern, flags).test(text);
  } catch {
    return false;
  }
}
