/** Where a message stands. */
export type Place = { readonly channel: string; readonly ts: string };

/** `recorded`: `1700.1`, or `C0OPS/1700.1` where it stands in another channel than the rollout's own. */
export function parsePlace(recorded: string, own: string): Place {
  const [ts = '', channel = own] = recorded.split('/').reverse();
  return { channel, ts };
}

export const writePlace = ({ channel, ts }: Place, own: string): string => (channel === own ? ts : `${channel}/${ts}`);

export const isSamePlace = (a: Place, b: Place): boolean => a.channel === b.channel && a.ts === b.ts;
