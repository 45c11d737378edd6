/** VirtualService and DestinationRule, whole as far as HTTP goes; what only other proxies read is taken as it is. */
import type { Shape } from '../shape.ts';
import { anything, closed, list, number, text, texts, uint } from './parts.ts';

const int32: Shape = { type: 'integer' };
const textMatch = { ...closed({ exact: text, prefix: text, regex: text }), eitherOf: ['exact', 'prefix', 'regex'] };
const textMatches: Shape = { type: 'map', values: textMatch };
const percent = closed({ value: number });
const destination = closed({ host: text, subset: text, port: closed({ number: uint }) }, ['host']);
const flag: Shape = { type: 'boolean' };

const match = closed({
  name: text,
  statPrefix: text,
  uri: textMatch,
  scheme: textMatch,
  method: textMatch,
  authority: textMatch,
  headers: textMatches,
  withoutHeaders: textMatches,
  queryParams: textMatches,
  ignoreUriCase: flag,
  port: uint,
  gateways: list(text),
  sourceLabels: texts,
  sourceNamespace: text,
});

const headerChange = closed({ set: texts, add: texts, remove: list(text) });
const headers = closed({ request: headerChange, response: headerChange });

const http = closed({
  name: text,
  match: list(match),
  route: list(closed({ destination, weight: int32, headers }, ['destination'])),
  delegate: closed({ name: text, namespace: text }),
  mirror: destination,
  mirrorPercent: uint,
  mirror_percent: uint,
  mirrorPercentage: percent,
  mirrors: list(closed({ destination, percentage: percent }, ['destination'])),
  headers,
  timeout: text,
  retries: anything,
  fault: anything,
  redirect: anything,
  directResponse: anything,
  rewrite: anything,
  corsPolicy: anything,
});

export const virtualService = closed({
  hosts: list(text),
  gateways: list(text),
  exportTo: list(text),
  http: list(http),
  tls: anything,
  tcp: anything,
});

export const destinationRule = closed({
  host: text,
  exportTo: list(text),
  subsets: list(closed({ name: text, labels: texts, trafficPolicy: anything }, ['name'])),
  trafficPolicy: anything,
  workloadSelector: anything,
});
