/**
 * JSON as it is kept: deflated where that saves memory, since a thousand rollouts may wait for days. The first byte tells
 * which it is: only JSON of an object begins with "{" (zlib's low half is always 8).
 */
import { deflateSync, inflateSync } from 'node:zlib';

const WORTH_BYTES = 100;
const BRACE = '{'.charCodeAt(0);
/** Small buffers: what is packed is a few kB, and setting them up is most of the time. */
const SMALL = { windowBits: 12, memLevel: 4, chunkSize: 4_096 };

export function pack(value: object): string | Buffer {
  const json = JSON.stringify(value);
  return json.length < WORTH_BYTES ? json : deflateSync(json, SMALL);
}

/** Trusted: only Sluice writes its keys. */
export function unpack<T>(packed: Buffer): T {
  return JSON.parse((packed[0] === BRACE ? packed : inflateSync(packed, SMALL)).toString());
}
