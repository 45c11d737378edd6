/** Where each message of a rollout is, and its address for browsers. */
import type { WebClient } from '@slack/web-api';
import type { Log } from '../../app/ports/log.ts';
import type { MessageKey } from '../../core/event.ts';
import { type Place, parsePlace } from '../../core/place.ts';
import { openGate, type Rollout } from '../../core/rollout.ts';
import { reasonOf } from './errors.ts';
import { gateKey } from './words.ts';

const KEPT = 1000;

export function createPlaces(client: WebClient, log: Log) {
  /** Where a deleted message was posted again: until the rollout knows it, and for edits that were under way. */
  const moved = new Map<string, string>();
  const links = new Map<string, string>();

  function placeOf(rollout: Rollout, key: MessageKey): Place | null {
    const recorded = rollout.messages[key];
    if (recorded === undefined) return null;
    const own = rollout.plan.channel;
    let place = parsePlace(recorded, own);
    for (let next = movedTo(place); next !== undefined; next = movedTo(place)) place = parsePlace(next, own);
    return place;
  }

  const movedTo = ({ channel, ts }: Place) => moved.get(`${channel}/${ts}`);

  async function gateLink(rollout: Rollout): Promise<string | null> {
    const gate = openGate(rollout);
    const place = gate && placeOf(rollout, gateKey(gate));
    return place ? permalink(place.channel, place.ts) : null;
  }

  async function permalink(channel: string, recorded: string): Promise<string | null> {
    const { channel: elsewhere, ts } = parsePlace(recorded, channel);
    const key = `${elsewhere}/${ts}`;
    const kept = links.get(key);
    if (kept !== undefined) return kept;
    try {
      const answer = await client.chat.getPermalink({ channel: elsewhere, message_ts: ts });
      if (answer.permalink) remember(links, key, answer.permalink);
      return answer.permalink ?? null;
    } catch (error) {
      log.info({ channel: elsewhere, error: reasonOf(error) }, 'no permalink');
      return null;
    }
  }

  return {
    placeOf,
    gateLink,
    permalink,
    move(from: Place, to: string): void {
      remember(moved, `${from.channel}/${from.ts}`, to);
    },
  };
}

function remember(map: Map<string, string>, key: string, value: string): void {
  map.set(key, value);
  const [oldest] = map.keys();
  if (map.size > KEPT && oldest !== undefined) map.delete(oldest);
}
