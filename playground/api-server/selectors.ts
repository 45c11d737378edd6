/** Label and field selectors of list and watch. */
import { badRequest } from './errors.ts';
import type { KubeObject, Labels } from './objects.ts';

export type Filter = (object: KubeObject) => boolean;

/** `app=world`, `app!=world`, `app in (a, b)`, `app notin (a, b)`, `app`, `!app`, joined by commas. */
export function parseLabelSelector(text: string): Filter {
  const tests = splitOutsideParentheses(text).map(parseRequirement);
  return ({ metadata }) => tests.every((test) => test(metadata.labels ?? {}));
}

/** `metadata.name=world`; also by namespace, and by a pod's `status.phase` and `spec.nodeName`. */
export function parseFieldSelector(text: string): Filter {
  const tests = text.split(',').map((part) => {
    const [, field = '', operator = '', value = ''] = /^([\w.]+)(==|=|!=)(.*)$/.exec(part.trim()) ?? [];
    const read = selectableFields[field];
    if (!read) throw badRequest(`field label not supported: ${field || part}`);
    return (object: KubeObject) => (read(object) === value) === (operator !== '!=');
  });
  return (object) => tests.every((test) => test(object));
}

const selectableFields: Readonly<Record<string, (object: KubeObject) => unknown>> = {
  'metadata.name': ({ metadata }) => metadata.name,
  'metadata.namespace': ({ metadata }) => metadata.namespace,
  'status.phase': ({ status }) => status?.phase,
  'spec.nodeName': ({ spec }) => spec?.nodeName,
};

function splitOutsideParentheses(text: string): readonly string[] {
  return text
    .split(/,(?![^(]*\))/)
    .map((part) => part.trim())
    .filter((part) => part !== '');
}

const key = '[A-Za-z0-9](?:[\\w./-]*)';
const equality = new RegExp(`^(${key})\\s*(==|=|!=)\\s*([\\w.-]*)$`);
const membership = new RegExp(`^(${key})\\s+(in|notin)\\s*\\(([^)]*)\\)$`);
const presence = new RegExp(`^(!?)\\s*(${key})$`);

function parseRequirement(text: string): (labels: Labels) => boolean {
  const [, name = '', operator, value] = equality.exec(text) ?? [];
  if (operator) return (labels) => (labels[name] === value) === (operator !== '!=');
  const [, member = '', kind, list = ''] = membership.exec(text) ?? [];
  if (kind) {
    const values = list.split(',').map((item) => item.trim());
    return (labels) => values.includes(labels[member] ?? '') === (kind === 'in');
  }
  const [, not, present] = presence.exec(text) ?? [];
  if (present) return (labels) => Object.hasOwn(labels, present) === (not !== '!');
  throw badRequest(`unable to parse requirement: ${text}`);
}
